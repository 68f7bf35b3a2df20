"""An example of what each call answers, for `/docs` and the OpenAPI. A test holds each against its call's schema, and
fails for a call that has none."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from encoders.contract import VectorContract

_VECTOR = [0.031, -0.112, 0.087]
_STARTER = VectorContract(
    model="starter",
    revision="1",
    dim=384,
    pooling="conse",
    template="query: (multilingual tower only)",
    pixels="260x260",
    preprocessing=1,
    precision="fp32, multilingual text q4",
)
_CONTRACT = asdict(_STARTER)
FINGERPRINT = _STARTER.fingerprint
_ITEM: dict[str, Any] = {
    "id": "a-cat",
    "kind": "image_text",
    "text": "a cat asleep on a chair",
    "source": "photos/cat.jpg",
    "tags": ["pets"],
    "metadata": {"year": 2024},
    "mime": "image/jpeg",
    "width": 1024,
    "height": 768,
    "created_at": 1767225600.0,
    "ocr_text": None,
    "image_url": "/v1/items/a-cat/image",
    "thumbnail_url": "/v1/items/a-cat/thumbnail",
}
_HIT = _ITEM | {
    "score": 0.3127,
    "text_score": None,
    "ranks": {},
    "rerank_score": None,
    "background_percentile": 99.6,
    "relevance": 0.41,
    "duplicates": [],
}
_STORED_ITEM = _ITEM | {"media": "51e467415607798220a3776f6ae1a2a09ddc7e5dcdc955d685477b4cf05ade22", "vector": None}
_SEARCH: dict[str, Any] = {
    "hits": [_HIT],
    "target": "image",
    "nothing_relevant": False,
    "relevance_reason": "",
    "rewritten_query": None,
    "rewrite": None,
    "model": "starter",
    "fingerprint": FINGERPRINT,
    "stages": [{"name": "dense", "did": "searched", "ms": 2.4, "depth": 1, "reason": ""}],
    "timings_ms": {"read": 0.1, "encode": 11.8, "search": 2.4, "render": 0.1, "total": 14.4},
}
_STORED = {"id": "a-cat", "created": True, "kind": "image_text", "fingerprint": FINGERPRINT}
_EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": _VECTOR}],
    "model": "starter",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
_FAILED_ITEM = {
    "position": 1,
    "name": "harbour/2.jpg",
    "state": "failed",
    "attempts": 1,
    "item_id": None,
    "error_code": "image_corrupt",
    "error_message": "the image cannot be decoded: image file is truncated",
    "updated_at": 1767225612.0,
}
_JOB: dict[str, Any] = {
    "id": "job-018f2c",
    "state": "running",
    "collection": "default",
    "total": 120,
    "counts": {"pending": 70, "leased": 8, "done": 41, "failed": 1, "dead": 0, "cancelled": 0},
    "tags": ["harbour"],
    "metadata": {"year": 2024},
    "rate": 12.5,
    "eta_s": 6.2,
    "created_at": 1767225600.0,
    "updated_at": 1767225612.0,
    "finished_at": None,
    "errors": [],
}
_QUEUED = _JOB | {"state": "queued", "counts": dict.fromkeys(_JOB["counts"], 0) | {"pending": 120}, "rate": 0.0}
_ENDED = {"finished_at": 1767225625.0, "eta_s": None}
_BUILT = {
    "phase": "swapped",
    "done": 5000,
    "total": 5000,
    "reused": 5000,
    "failed": 0,
    "failures": [],
    "recall": 0.987,
    "agreement": 0.99,
    "probes": 200,
    "detail": "",
}
_LIVE: dict[str, Any] = {
    "id": 2,
    "state": "live",
    "encoder": "starter",
    "fingerprint": FINGERPRINT,
    "contract": _CONTRACT,
    "dim": 384,
    "backend": "embedded",
    "index": {"type": "hnsw"},
    "created_at": 1767225600.0,
    "count": 5000,
    "build": _BUILT,
    "canary": {"recall": 0.99, "queries": 50, "rows": 5000, "seconds": 0.2, "at": 1767229200.0},
}
_BUILDING = _LIVE | {
    "id": 3,
    "state": "building",
    "count": None,
    "build": _BUILT | {"phase": "waiting", "done": 0, "total": 0, "reused": 0, "recall": None, "agreement": None},
    "canary": None,
}
_COLLECTION: dict[str, Any] = {
    "name": "holidays",
    "created_at": 1767225600.0,
    "live": 2,
    "fingerprint": FINGERPRINT,
    "versions": [_LIVE],
}
_HEALTH = {"status": "ok", "encoder": "starter", "index": "embedded", "count": 5000, "detail": ""}
_MODEL = {
    "id": "starter",
    "object": "model",
    "description": "Offline: EfficientNet-Lite2 classes meet MiniLM and multilingual e5. Small; for a first try.",
    "dim": 384,
    "dimensions": [384],
    "modalities": ["image", "image_text", "text"],
    "languages": ["en", "zh"],
    "max_text_chars": 2000,
    "contract": _CONTRACT,
    "fingerprint": FINGERPRINT,
}
_RERANKED = {
    "id": "0b3c6a52-3c1a-4e0f-9a51-2f0f3d0c7b11",
    "object": "list",
    "model": "qwen3-vl-reranker",
    "fingerprint": "c1d2e3f4a5b60718",
    "results": [{"index": 1, "relevance_score": 0.93}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    "usage": {"total_tokens": 61, "prompt_tokens": 61},
}

ANSWERS: dict[str, dict[int, Any]] = {
    "POST /v1/search": {200: _SEARCH},
    "POST /v1/items": {200: {"results": [_STORED]}, 201: _STORED},
    "GET /v1/items": {200: {"items": [_STORED_ITEM], "next": "a-cat", "count": 5000, "fingerprint": FINGERPRINT}},
    "POST /v1/items/lookup": {200: {"existing": ["a-cat"], "fingerprint": FINGERPRINT}},
    "GET /v1/items/{id}": {200: _STORED_ITEM},
    "DELETE /v1/items/{id}": {200: {"id": "a-cat", "deleted": True}},
    "POST /v1/embeddings": {200: _EMBEDDINGS},
    "POST /v1/match": {
        200: {"cosine": [[0.31], [0.12]], "probability": None, "model": "starter", "fingerprint": FINGERPRINT}
    },
    "POST /v1/rerank": {200: _RERANKED},
    "GET /v1/models": {200: {"object": "list", "data": [_MODEL]}},
    "GET /v1/status": {
        200: {
            "deployments": [{"name": "Encoder", "state": "HEALTHY", "replicas": {"RUNNING": 1}}],
            "queued": {"interactive": 0, "bulk": 12},
            "window_s": 60.0,
            "calls": [{"operation": "search", "per_second": 4.2, "mean_ms": 12.5, "errors": 0}],
            "cache": {"hit": 410, "shared": 3, "miss": 87},
        }
    },
    "GET /health/live": {200: {"status": "ok"}},
    "GET /health/ready": {200: _HEALTH, 503: _HEALTH | {"status": "degraded", "detail": "the index does not answer"}},
    "POST /v1/jobs": {200: _JOB, 202: _QUEUED},
    "GET /v1/jobs": {200: {"jobs": [_JOB], "next": None}},
    "GET /v1/jobs/{id}": {200: _JOB | {"errors": [_FAILED_ITEM]}},
    "GET /v1/jobs/{id}/items": {200: {"items": [_FAILED_ITEM], "next": None}},
    "POST /v1/jobs/{id}/retry": {200: _QUEUED},
    "DELETE /v1/jobs/{id}": {200: _JOB | _ENDED | {"state": "cancelled"}},
    "GET /v1/collections": {200: {"object": "list", "data": [_COLLECTION]}},
    "POST /v1/collections": {201: _COLLECTION | {"versions": [_LIVE | {"count": 0, "canary": None}]}},
    "GET /v1/collections/{name}": {200: _COLLECTION},
    "DELETE /v1/collections/{name}": {200: {"name": "holidays", "deleted": True}},
    "POST /v1/collections/{name}/reindex": {202: _BUILDING},
    "POST /v1/collections/{name}/versions/{version}/promote": {202: _BUILDING},
    "DELETE /v1/collections/{name}/versions/{version}": {200: {"name": "holidays", "version": 3, "deleted": True}},
}
"""By method and path, then by status."""

ERROR = {
    "error": {
        "message": "top_k: Input should be greater than or equal to 1",
        "type": "invalid_request_error",
        "param": "top_k",
        "code": "invalid_request",
    }
}
