"""`/v1/items`: write, read, list and delete items."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from deployments import audit
from deployments.bodies import is_multipart, parse_json, parse_object, read_form
from deployments.catalog.versions import DEFAULT, NAME
from deployments.errors import INTERNAL, BadRequest, Overloaded, Unavailable, status_of
from deployments.item_files import THUMBNAIL
from deployments.items import Stored
from deployments.openapi import file_answer, json_body, json_or_form
from deployments.render import error_content, json_response, record_content
from deployments.resolving import Collections, ask
from deployments.schemas.items import (
    DeletedAnswer,
    Item,
    ItemAnswer,
    ItemBatch,
    ItemPage,
    LookupAnswer,
    LookupRequest,
    StoredAnswer,
    StoredBatchAnswer,
)
from deployments.space import require_header
from deployments.stages import Stages
from encoders.thumbnails import MIME
from retrieval.errors import IndexUnavailable, MediaUnavailable

PathId = Annotated[str, Path(max_length=128, description="An item's id", examples=["a-cat"])]
CollectionParam = Annotated[str, Query(pattern=rf"^{NAME.pattern}$", description="The collection it is in")]
log = logging.getLogger(__name__)
ASK_AGAIN = {"Cache-Control": "private, no-cache"}
"""An item may get another image under its id: whoever kept one asks whether it is still that."""


def router(collections: Collections) -> APIRouter:
    routes = APIRouter(tags=["items"])

    async def add_item(request: Request, item: Item, stages: Stages) -> tuple[Stored, dict[str, Any]]:
        services, stored = await ask(collections, request, item.collection, lambda s: s.items.add(item, stages))
        audit.note(request, stored.record.id, item.collection)
        content = {
            "id": stored.record.id,
            "created": stored.outcome == "created",
            "kind": stored.record.payload.kind,
            "fingerprint": services.info.contract.fingerprint,
        }
        return stored, content

    async def add_one(request: Request, value: dict[str, Any], collection: str) -> dict[str, Any]:
        """One element of a batch: its answer, or its error, also where that is a bug: it must not keep the others
        out each time that they are sent with it."""
        try:
            item = parse_object(Item, {"collection": collection} | value)
            return (await add_item(request, item, Stages()))[1]
        except (Overloaded, Unavailable, IndexUnavailable, MediaUnavailable):
            raise  # the whole call failed, and should be sent again
        except Exception as error:
            if status_of(error) is INTERNAL:
                log.exception("storing an item of a batch failed")
            return error_content(error)

    @routes.post(
        "/v1/items",
        responses={200: {"model": StoredAnswer | StoredBatchAnswer}, 201: {"model": StoredAnswer}},
        openapi_extra=json_or_form(Item, ItemBatch),
        summary="Store one item, or a batch; acknowledged when it is on disk",
    )
    async def add(request: Request) -> Response:
        request.state.operation = "add_item"
        stages: Stages = request.state.stages
        value = await read_form(request) if is_multipart(request) else _json(await request.body())
        if isinstance(value, dict) and "items" in value:
            batch = parse_object(ItemBatch, value)
            request.state.inputs = len(batch.items)
            stages.lap("read")
            require_header((await collections.services(batch.collection)).info, request.headers)
            results = await asyncio.gather(*(add_one(request, element, batch.collection) for element in batch.items))
            stages.lap("store_batch")
            return json_response({"results": results})
        item = parse_object(Item, value)
        stages.lap("read")
        stored, content = await add_item(request, item, stages)
        return json_response(content, 201 if stored.outcome == "created" else 200)

    @routes.post(
        "/v1/items/lookup",
        response_model=LookupAnswer,
        openapi_extra=json_body(LookupRequest),
        summary="Which of these ids are stored",
    )
    async def lookup(request: Request) -> Response:
        request.state.operation = "lookup_items"
        body = parse_json(LookupRequest, await request.body())
        services, existing = await ask(
            collections, request, body.collection, lambda s: s.items.existing(body.ids), pinned=False
        )
        return json_response({"existing": existing, "fingerprint": services.info.contract.fingerprint})

    @routes.get("/v1/items", response_model=ItemPage, summary="All items, page by page, by id")
    async def page(
        request: Request,
        after: Annotated[str, Query(max_length=128)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        vectors: bool = False,
        collection: CollectionParam = DEFAULT,
    ) -> Response:
        request.state.operation = "list_items"
        services, (records, count) = await ask(
            collections, request, collection, lambda s: s.items.page(after, limit), pinned=False
        )
        content = {
            "items": [record_content(record, collection, vector=vectors) for record in records],
            "next": records[-1].id if len(records) == limit else None,
            "count": count,
            "fingerprint": services.info.contract.fingerprint,
        }
        return json_response(content)

    @routes.get("/v1/items/{id}", response_model=ItemAnswer, summary="One item")
    async def get(
        request: Request, id: PathId, vectors: bool = False, collection: CollectionParam = DEFAULT
    ) -> Response:
        request.state.operation = "get_item"
        _, record = await ask(collections, request, collection, lambda s: s.items.get(id), pinned=False)
        return json_response(record_content(record, collection, vector=vectors))

    @routes.delete("/v1/items/{id}", response_model=DeletedAnswer, summary="Delete one item")
    async def delete(request: Request, id: PathId, collection: CollectionParam = DEFAULT) -> Response:
        request.state.operation = "delete_item"
        audit.note(request, id, collection)
        await ask(collections, request, collection, lambda s: s.items.delete(id), pinned=False)
        return json_response({"id": id, "deleted": True})

    @routes.get(
        "/v1/items/{id}/image",
        response_class=Response,
        responses=file_answer("image/*"),
        summary="An item's image, as it was sent",
    )
    async def image(request: Request, id: PathId, collection: CollectionParam = DEFAULT) -> Response:
        request.state.operation = "get_image"
        services, (address, mime) = await ask(
            collections, request, collection, lambda s: s.items.media_of(id), pinned=False
        )
        tagged = ASK_AGAIN | {"ETag": f'"{address}"'}
        if _has(request, tagged["ETag"]):
            return Response(status_code=304, headers=tagged)
        # Never sniffed and never run: what was uploaded comes back on this origin.
        safe = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(await services.items.image(address), media_type=mime, headers=tagged | safe)

    @routes.get(
        "/v1/items/{id}/thumbnail",
        response_class=Response,
        responses=file_answer(MIME),
        summary="A small WebP of an item's image",
    )
    async def thumbnail(request: Request, id: PathId, collection: CollectionParam = DEFAULT) -> Response:
        request.state.operation = "get_thumbnail"
        services, (address, _) = await ask(
            collections, request, collection, lambda s: s.items.media_of(id), pinned=False
        )
        tagged = ASK_AGAIN | {"ETag": f'"{address}-{THUMBNAIL}"'}
        if _has(request, tagged["ETag"]):
            return Response(status_code=304, headers=tagged)
        return Response(await services.items.thumbnail(address), media_type=MIME, headers=tagged)

    return routes


def _has(request: Request, tag: str) -> bool:
    """Whether the caller has kept what is tagged so (`If-None-Match`, RFC 9110: compared weakly)."""
    kept = request.headers.get("if-none-match", "").split(",")
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in kept)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", "body") from error
