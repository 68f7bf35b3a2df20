"""From records and hits to answers. Answers are built as plain dicts and written by orjson: on the hot path that is
what a response costs, and the schemas document the shape."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import orjson
from fastapi import Response

from deployments import request_ids
from deployments.catalog.versions import DEFAULT
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
    """The answer to a request that ended in `error`, with the id that finds it in the logs; what passes by itself says
    when to come back."""
    content = error_content(error) | {"request_id": request_ids.current() or None}
    response = json_response(content, status_of(error).status)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, 11.6.1
    if response.status_code in (429, 503):
        response.headers["Retry-After"] = str(max(1, math.ceil(getattr(error, "retry_after_s", 1))))
    return response


def payload_content(id: str, payload: Payload, collection: str) -> dict[str, Any]:
    """What a hit and an item have in common."""
    has_image = payload.media is not None
    where = "" if collection == DEFAULT else f"?collection={collection}"
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
        "image_url": f"/v1/items/{id}/image{where}" if has_image else None,
        "thumbnail_url": f"/v1/items/{id}/thumbnail{where}" if has_image else None,
    }


def hit_content(hit: Hit, found: Found, mode: str, collection: str) -> dict[str, Any]:
    """`found` is what the hit is one of."""
    return payload_content(hit.id, hit.payload, collection) | {
        "score": None if mode == "text" else round(hit.score, 6),
        "text_score": found.text_scores.get(hit.id),
        "ranks": found.ranks.get(hit.id, {}),
        "rerank_score": found.rerank_scores.get(hit.id),
        "background_percentile": _rounded(found.judgement.percentiles.get(hit.id), 2),
        "relevance": _rounded(found.judgement.relevance.get(hit.id), 4),
        "duplicates": found.duplicates.get(hit.id, []),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def rewrite_content(rewriting: Rewriting | None) -> dict[str, Any]:
    """The fields of an answer that say what was encoded in place of the query, and who read what it asks for."""
    if rewriting is None:
        return {"rewritten_query": None, "rewrite": None}
    who = {"by": rewriting.by, "reason": rewriting.reason}
    return {"rewritten_query": rewriting.text, "rewrite": who | asdict(rewriting.structured)}


def record_content(record: Record, collection: str, *, vector: bool) -> dict[str, Any]:
    content = payload_content(record.id, record.payload, collection) | {"media": record.payload.media}
    return content | {"vector": record.vector.tolist()} if vector else content
