"""`POST /v1/rerank`, in Cohere's and Jina's shape."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.bodies import parse_json
from deployments.openapi import json_body
from deployments.render import json_response
from deployments.resolving import Collections, ask
from deployments.schemas.rerank import RerankAnswer, RerankDocument, RerankRequest

PAIRS_A_SEARCH_UNIT = 100
"""Cohere bills a search unit for each hundred documents."""


def router(collections: Collections) -> APIRouter:
    routes = APIRouter(tags=["rerank"])

    # Cohere's current client posts to v2, the one before it and Jina's to v1; the body is the same.
    @routes.post("/v2/rerank", response_model=RerankAnswer, include_in_schema=False)
    @routes.post(
        "/v1/rerank",
        response_model=RerankAnswer,
        openapi_extra=json_body(RerankRequest),
        summary="How well each document answers a query (Cohere- and Jina-shaped)",
    )
    async def rerank(request: Request) -> Response:
        request.state.operation = "rerank"
        body = parse_json(RerankRequest, await request.body())
        request.state.inputs = len(body.documents)
        request.state.stages.lap("read")
        stages = request.state.stages
        _, reply = await ask(
            collections, request, body.collection, lambda s: s.rerank.rerank(body, stages), pinned=False
        )
        scores = {row: score for row, score in enumerate(reply.scores) if isinstance(score, float)}
        best = sorted(scores, key=lambda row: -scores[row])[: body.top_n]
        results: list[dict[str, Any]] = [{"index": row, "relevance_score": scores[row]} for row in best]
        if body.return_documents:
            for result in results:
                result["document"] = _document(body.documents[result["index"]])
        units = -(-len(body.documents) // PAIRS_A_SEARCH_UNIT)
        content = {
            "id": str(uuid.uuid4()),
            "object": "list",
            "model": reply.info.name,
            "fingerprint": reply.info.fingerprint,
            "results": results,
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": units}},
            "usage": {"total_tokens": reply.cost, "prompt_tokens": reply.cost},
        }
        return json_response(content)

    return routes


def _document(document: RerankDocument) -> dict[str, str]:
    """Without its image: the caller has it, and it may be megabytes."""
    given = {"id": document.id, "text": document.text}
    return {name: value for name, value in given.items() if value is not None}
