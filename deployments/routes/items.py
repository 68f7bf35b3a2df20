"""`/v1/items`: write, read, list and delete items."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from deployments.bodies import is_multipart, parse_json, parse_object, read_form
from deployments.errors import INTERNAL, BadRequest, Overloaded, Unavailable, status_of
from deployments.item_files import THUMBNAIL_PX
from deployments.items import Stored
from deployments.openapi import json_body, json_or_form
from deployments.render import error_content, json_response, record_content
from deployments.schemas.items import (
    Item,
    ItemAnswer,
    ItemBatch,
    ItemPage,
    LookupAnswer,
    LookupRequest,
    StoredAnswer,
    StoredBatchAnswer,
)
from deployments.services import Services
from deployments.space import require_header
from deployments.stages import Stages

PathId = Annotated[str, Path(max_length=128, description="An item's id", examples=["a-cat"])]
log = logging.getLogger(__name__)
ASK_AGAIN = {"Cache-Control": "private, no-cache"}
"""An item may get another image under its id: whoever kept one asks whether it is still that."""


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["items"])
    items = services.items
    fingerprint = services.info.contract.fingerprint

    def stored_content(stored: Stored) -> dict[str, Any]:
        return {
            "id": stored.record.id,
            "created": stored.outcome == "created",
            "kind": stored.record.payload.kind,
            "fingerprint": fingerprint,
        }

    async def add_one(value: Any) -> dict[str, Any]:
        """One element of a batch: its answer, or its error, also where that is a bug: it must not keep the others
        out each time that they are sent with it."""
        try:
            return stored_content(await items.add(parse_object(Item, value), Stages()))
        except (Overloaded, Unavailable):
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
        require_header(services.info, request.headers)
        value = await read_form(request) if is_multipart(request) else _json(await request.body())
        if isinstance(value, dict) and "items" in value:
            batch = parse_object(ItemBatch, value)
            stages.lap("read")
            results = await asyncio.gather(*(add_one(element) for element in batch.items))
            stages.lap("store_batch")
            return json_response({"results": results})
        item = parse_object(Item, value)
        stages.lap("read")
        stored = await items.add(item, stages)
        return json_response(stored_content(stored), 201 if stored.outcome == "created" else 200)

    @routes.post(
        "/v1/items/lookup",
        response_model=LookupAnswer,
        openapi_extra=json_body(LookupRequest),
        summary="Which of these ids are stored",
    )
    async def lookup(request: Request) -> Response:
        request.state.operation = "lookup_items"
        body = parse_json(LookupRequest, await request.body())
        return json_response({"existing": await items.existing(body.ids), "fingerprint": fingerprint})

    @routes.get("/v1/items", response_model=ItemPage, summary="All items, page by page, by id")
    async def page(
        request: Request,
        after: Annotated[str, Query(max_length=128)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        vectors: bool = False,
    ) -> Response:
        request.state.operation = "list_items"
        records, count = await items.page(after, limit)
        content = {
            "items": [record_content(record, vector=vectors) for record in records],
            "next": records[-1].id if len(records) == limit else None,
            "count": count,
            "fingerprint": fingerprint,
        }
        return json_response(content)

    @routes.get("/v1/items/{id}", response_model=ItemAnswer, summary="One item")
    async def get(request: Request, id: PathId, vectors: bool = False) -> Response:
        request.state.operation = "get_item"
        return json_response(record_content(await items.get(id), vector=vectors))

    @routes.delete("/v1/items/{id}", summary="Delete one item")
    async def delete(request: Request, id: PathId) -> Response:
        request.state.operation = "delete_item"
        await items.delete(id)
        return json_response({"id": id, "deleted": True})

    @routes.get("/v1/items/{id}/image", response_class=Response, summary="An item's image, as it was sent")
    async def image(request: Request, id: PathId) -> Response:
        request.state.operation = "get_image"
        address, mime = await items.media_of(id)
        tagged = ASK_AGAIN | {"ETag": f'"{address}"'}
        if _has(request, tagged["ETag"]):
            return Response(status_code=304, headers=tagged)
        # Never sniffed and never run: what was uploaded comes back on this origin.
        safe = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(await items.image(address), media_type=mime, headers=tagged | safe)

    @routes.get("/v1/items/{id}/thumbnail", response_class=Response, summary="A small JPEG of an item's image")
    async def thumbnail(request: Request, id: PathId) -> Response:
        request.state.operation = "get_thumbnail"
        address, _ = await items.media_of(id)
        tagged = ASK_AGAIN | {"ETag": f'"{address}-{THUMBNAIL_PX}"'}
        if _has(request, tagged["ETag"]):
            return Response(status_code=304, headers=tagged)
        return Response(await items.thumbnail(address), media_type="image/jpeg", headers=tagged)

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
