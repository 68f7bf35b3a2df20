"""What runs, what it does and whether it is well: `/v1/models`, `/v1/status`, `/health/live`, `/health/ready`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.activity import Activity, Calls
from deployments.catalog.versions import DEFAULT
from deployments.cluster_state import ClusterStatePort
from deployments.render import json_response
from deployments.resolving import Collections
from deployments.schemas.status import HealthAnswer, ModelsAnswer, StatusAnswer
from encoders import EncoderInfo


def router(collections: Collections, activity: Activity, cluster: ClusterStatePort) -> APIRouter:
    routes = APIRouter(tags=["status"])

    @routes.get(
        "/v1/models",
        response_model=ModelsAnswer,
        summary="The encoders that run, and their vector contracts; the first is the collection's",
    )
    async def models(request: Request) -> Response:
        request.state.operation = "models"
        models = (await collections.services(DEFAULT)).models
        return json_response({"object": "list", "data": [_describe(model.info) for model in models]})

    @routes.get(
        "/v1/status",
        response_model=StatusAnswer,
        summary="What the cluster does now: replicas, queue, throughput, cache hits; a look for people",
    )
    async def now(request: Request) -> Response:
        request.state.operation = "status"
        state = await cluster.read()
        window_s, lookups = activity.window_s, activity.lookups()
        content = {
            "deployments": [asdict(deployment) for deployment in state.deployments],
            "queued": state.queued,
            "window_s": round(window_s, 1),
            "calls": [_calls(calls, window_s) for calls in activity.calls()],
            "cache": {name: lookups.get(name, 0) for name in ("hit", "shared", "miss")} if lookups else None,
        }
        return json_response(content)

    @routes.get("/health/live", response_model=HealthAnswer, summary="This process answers")
    async def live(request: Request) -> Response:
        request.state.operation = "live"
        return json_response({"status": "ok"})

    @routes.get("/health/ready", response_model=HealthAnswer, summary="Encoder and index answer")
    async def ready(request: Request) -> Response:
        request.state.operation = "ready"
        services = await collections.services(DEFAULT)
        state = await services.health.ready()
        content = {
            "status": "ok" if state.ready else "degraded",
            "encoder": services.info.name,
            "index": state.index,
            "count": state.count,
            "detail": state.detail,
        }
        return json_response(content, 200 if state.ready else 503)

    return routes


def _calls(calls: Calls, window_s: float) -> dict[str, Any]:
    return {
        "operation": calls.operation,
        "per_second": round(calls.answered / window_s, 3),
        "mean_ms": round(calls.mean_s * 1000, 3),
        "errors": calls.errors,
    }


def _describe(info: EncoderInfo) -> dict[str, Any]:
    return {
        "id": info.name,
        "object": "model",
        "description": info.description,
        "dim": info.dim,
        "dimensions": list(info.dimensions),
        "modalities": sorted(info.modalities),
        "languages": list(info.languages),
        "max_text_chars": info.max_text_chars,
        "contract": asdict(info.contract),
        "fingerprint": info.contract.fingerprint,
    }
