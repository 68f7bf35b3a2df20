"""What runs and whether it is well: `/v1/models`, `/health/live`, `/health/ready`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response

from deployments.render import json_response
from deployments.schemas.status import HealthAnswer, ModelsAnswer
from deployments.services import Services
from encoders import EncoderInfo


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["status"])
    info = services.info
    described = [_describe(model.info) for model in services.models]

    @routes.get(
        "/v1/models",
        response_model=ModelsAnswer,
        summary="The encoders that run, and their vector contracts; the first is the collection's",
    )
    async def models(request: Request) -> Response:
        request.state.operation = "models"
        return json_response({"object": "list", "data": described})

    @routes.get("/health/live", response_model=HealthAnswer, summary="This process answers")
    async def live(request: Request) -> Response:
        request.state.operation = "live"
        return json_response({"status": "ok"})

    @routes.get("/health/ready", response_model=HealthAnswer, summary="Encoder and index answer")
    async def ready(request: Request) -> Response:
        request.state.operation = "ready"
        state = await services.health.ready()
        content = {
            "status": "ok" if state.ready else "degraded",
            "encoder": info.name,
            "index": state.index,
            "count": state.count,
            "detail": state.detail,
        }
        return json_response(content, 200 if state.ready else 503)

    return routes


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
