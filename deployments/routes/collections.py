"""`/v1/collections`: what there is, and building it anew."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from deployments import audit
from deployments.bodies import parse_json
from deployments.catalog.versions import NAME, BuildOptions, Collection, Version
from deployments.collection_admin import CollectionAdmin, Wanted
from deployments.openapi import json_body
from deployments.render import json_response
from deployments.schemas.collections import (
    BuildBody,
    CollectionAnswer,
    CollectionsAnswer,
    DeletedCollection,
    DroppedVersion,
    NewCollection,
    PromoteRequest,
    ReindexRequest,
    VersionAnswer,
    WantedVersion,
)

PathName = Annotated[str, Path(pattern=rf"^{NAME.pattern}$", description="A collection", examples=["default"])]
PathVersion = Annotated[int, Path(ge=1, description="A version's number", examples=[1])]


def router(admin: CollectionAdmin) -> APIRouter:
    routes = APIRouter(tags=["collections"])

    @routes.get("/v1/collections", response_model=CollectionsAnswer, summary="All collections and their versions")
    async def all_collections(request: Request) -> Response:
        request.state.operation = "list_collections"
        return json_response({"object": "list", "data": [_collection(one) for one in await admin.all()]})

    @routes.post(
        "/v1/collections",
        status_code=201,
        response_model=CollectionAnswer,
        openapi_extra=json_body(NewCollection),
        summary="Make a collection",
    )
    async def create(request: Request) -> Response:
        request.state.operation = "create_collection"
        body = parse_json(NewCollection, await request.body())
        audit.note(request, body.name)
        await admin.create(body.name, _wanted(body))
        return json_response(await _shown(body.name), 201)

    @routes.get("/v1/collections/{name}", response_model=CollectionAnswer, summary="One collection, with counts")
    async def get(request: Request, name: PathName) -> Response:
        request.state.operation = "get_collection"
        return json_response(await _shown(name))

    @routes.delete(
        "/v1/collections/{name}",
        response_model=DeletedCollection,
        summary="Delete a collection with its items; not the default one",
    )
    async def delete(request: Request, name: PathName) -> Response:
        request.state.operation = "delete_collection"
        await admin.delete(name)
        return json_response({"name": name, "deleted": True})

    @routes.post(
        "/v1/collections/{name}/reindex",
        status_code=202,
        response_model=VersionAnswer,
        openapi_extra=json_body(ReindexRequest),
        summary="Build a version beside the live one, which takes over",
    )
    async def reindex(request: Request, name: PathName) -> Response:
        request.state.operation = "reindex"
        body = parse_json(ReindexRequest, await request.body() or b"{}")
        return json_response(_version(await admin.reindex(name, _wanted(body), _options(body))), 202)

    @routes.post(
        "/v1/collections/{name}/versions/{version}/promote",
        status_code=202,
        response_model=VersionAnswer,
        openapi_extra=json_body(PromoteRequest),
        summary="Bring a kept version up to date, and have it take over",
    )
    async def promote(request: Request, name: PathName, version: PathVersion) -> Response:
        request.state.operation = "promote"
        body = parse_json(PromoteRequest, await request.body() or b"{}")
        return json_response(_version(await admin.promote(name, version, _options(body))), 202)

    @routes.delete(
        "/v1/collections/{name}/versions/{version}",
        response_model=DroppedVersion,
        summary="End a version's build, or delete one that was kept",
    )
    async def drop(request: Request, name: PathName, version: PathVersion) -> Response:
        request.state.operation = "drop_version"
        await admin.drop(name, version)
        return json_response({"name": name, "version": version, "deleted": True})

    async def _shown(name: str) -> dict[str, Any]:
        collection, counted = await admin.one(name)
        return _collection(collection, {one.version.id: one.count for one in counted})

    return routes


def _wanted(body: WantedVersion) -> Wanted:
    return Wanted(body.encoder, body.dim, body.backend, body.index_type)


def _options(body: BuildBody) -> BuildOptions:
    return BuildOptions(float(body.min_recall), body.probes, body.keep, body.swap, body.max_failed)


def _collection(collection: Collection, counts: dict[int, int | None] | None = None) -> dict[str, Any]:
    return {
        "name": collection.name,
        "created_at": collection.created_at,
        "live": collection.live.id,
        "fingerprint": collection.live.fingerprint,
        "versions": [_version(version, (counts or {}).get(version.id)) for version in collection.versions],
    }


def _version(version: Version, count: int | None = None) -> dict[str, Any]:
    report = asdict(version.report) | {
        "failures": [{"id": id, "reason": reason} for id, reason in version.report.failures]
    }
    return {
        "id": version.id,
        "state": version.state,
        "encoder": version.encoder,
        "fingerprint": version.fingerprint,
        "contract": asdict(version.contract),
        "dim": version.dim,
        "backend": version.backend,
        "index": dict(version.options),
        "created_at": version.created_at,
        "count": count,
        "build": report,
        "canary": None if version.canary is None else asdict(version.canary),
    }
