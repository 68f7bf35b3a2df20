"""`POST /v1/search`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.bodies import is_multipart, parse_json, parse_object, read_form
from deployments.openapi import json_or_form
from deployments.render import hit_content, json_response, rewrite_content
from deployments.resolving import Collections, ask
from deployments.schemas.search import SearchAnswer, SearchRequest
from deployments.stages import Stages


def router(collections: Collections) -> APIRouter:
    routes = APIRouter(tags=["search"])

    @routes.post(
        "/v1/search",
        responses={200: {"model": SearchAnswer}},
        openapi_extra=json_or_form(SearchRequest),
        summary="Find items by text, image, stored id, or a weighted mix",
    )
    async def search(request: Request) -> Response:
        request.state.operation = "search"
        stages: Stages = request.state.stages
        if is_multipart(request):
            body = parse_object(SearchRequest, await read_form(request))
        else:
            body = parse_json(SearchRequest, await request.body())
        stages.lap("read")
        services, found = await ask(collections, request, body.collection, lambda s: s.search.search(body, stages))
        content: dict[str, Any] = {
            "hits": [hit_content(hit, found, body.mode, body.collection) for hit in found.hits],
            "target": body.target,
            "nothing_relevant": found.judgement.nothing_relevant,
            "relevance_reason": found.judgement.reason,
            **rewrite_content(found.rewriting),
            "stages": [asdict(report) for report in found.reports],
            "model": services.info.name,
            "fingerprint": services.info.contract.fingerprint,
        }
        stages.lap("render")
        return json_response(content | {"timings_ms": stages.milliseconds()})

    return routes
