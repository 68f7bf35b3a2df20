"""From records and hits to answers. Answers are built as plain dicts and written by orjson: on the hot path that is
what a response costs, and the schemas document the shape."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from fastapi import Response

from deployments.errors import code_of, param_of, status_of
from deployments.rewriting import Rewriting
from deployments.search import Found
from retrieval import Hit, Payload, Record


def json_response(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json")


def error_content(error: BaseException) -> dict[str, Any]:
    """`{"error": …}` for an exception; what is not in the errors table shows no details."""
    row = status_of(error)
    message = str(error) if row.status != 500 else "internal error: see the server's log"
    return {"error": {"message": message, "type": row.type, "param": param_of(error), "code": code_of(error)}}


def error_response(error: BaseException) -> Response:
    """The answer to a request that ended in `error`; what passes by itself says when to come back."""
    response = json_response(error_content(error), status_of(error).status)
    if response.status_code in (429, 503):
        response.headers["Retry-After"] = "1"
    return response


def payload_content(id: str, payload: Payload) -> dict[str, Any]:
    """What a hit and an item have in common."""
    has_image = payload.media is not None
    return {
        "id": id,
        "kind": payload.kind,
        "text": payload.text,
        "source": payload.source,
        "tags": list(payload.tags),
        "metadata": dict(payload.metadata),
        "mime": payload.mime,
        "width": payload.width,
        "height": payload.height,
        "created_at": payload.created_at,
        "ocr_text": payload.ocr_text,
        "image_url": f"/v1/items/{id}/image" if has_image else None,
        "thumbnail_url": f"/v1/items/{id}/thumbnail" if has_image else None,
    }


def hit_content(hit: Hit, found: Found, mode: str) -> dict[str, Any]:
    """`found` is what the hit is one of."""
    return payload_content(hit.id, hit.payload) | {
        "score": None if mode == "text" else round(hit.score, 6),
        "text_score": found.text_scores.get(hit.id),
        "ranks": found.ranks.get(hit.id, {}),
        "rerank_score": found.rerank_scores.get(hit.id),
    }


def rewrite_content(rewriting: Rewriting | None) -> dict[str, Any]:
    """The fields of an answer that say what was encoded in place of the query, and who read what it asks for."""
    if rewriting is None:
        return {"rewritten_query": None, "rewrite": None}
    who = {"by": rewriting.by, "reason": rewriting.reason}
    return {"rewritten_query": rewriting.text, "rewrite": who | asdict(rewriting.structured)}


def record_content(record: Record, *, vector: bool) -> dict[str, Any]:
    content = payload_content(record.id, record.payload) | {"media": record.payload.media}
    return content | {"vector": record.vector.tolist()} if vector else content
