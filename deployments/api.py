"""The FastAPI application over the services: routes, the errors table, deadlines, and the gate around it all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from deployments.admission import Admission
from deployments.bodies import explain_faults
from deployments.errors import ERRORS, BadRequest, MethodNotAllowed, NotFound, code_of
from deployments.gate import Gate
from deployments.openapi import document_bodies
from deployments.render import error_response
from deployments.routes import embeddings, items, rerank, search, status
from deployments.schemas.embeddings import EmbeddingsRequest
from deployments.schemas.items import Item, ItemBatch, LookupRequest
from deployments.schemas.match import MatchRequest
from deployments.schemas.rerank import RerankRequest
from deployments.schemas.search import SearchRequest
from deployments.services import Services
from deployments.space import FINGERPRINT_HEADER
from deployments.stages import Stages

log = logging.getLogger(__name__)

DESCRIPTION = "Finds images by text, images by image and texts by image."


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one request, and by which names it may come."""

    max_body_bytes: int = 32 << 20
    request_timeout_s: float = 60.0
    allowed_hosts: frozenset[str] | None = None
    """Names that requests may ask for in their `Host`; None for any."""


def build_api(
    services: Services,
    limits: HttpLimits,
    *,
    on_done: Callable[[str, Stages], None] = lambda operation, stages: None,
    on_error: Callable[[str, str], None] = lambda operation, code: None,
) -> ASGIApp:
    """The whole HTTP API as one ASGI app. `on_done` and `on_error` feed the metrics."""
    app = FastAPI(title="Crossray", version="1", description=DESCRIPTION, redoc_url=None)
    for module in (search, items, embeddings, rerank, status):
        app.include_router(module.router(services))
    document_bodies(
        app,
        SearchRequest,
        Item,
        ItemBatch,
        LookupRequest,
        EmbeddingsRequest,
        MatchRequest,
        RerankRequest,
    )

    async def answer_error(request: Request, error: Exception) -> Response:
        on_error(getattr(request.state, "operation", "unrouted"), code_of(error))
        response = error_response(error)
        if response.status_code == 500:
            log.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
        return response

    async def answer_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await answer_error(request, explain_faults(error.errors(), skip=1))

    async def answer_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return await answer_error(request, NotFound(f"there is no {request.url.path[:200]}", "path"))
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            refused = MethodNotAllowed(f"{request.url.path} takes {allowed}, not {request.method}", "method")
            response = await answer_error(request, refused)
            response.headers["Allow"] = allowed
            return response
        return await answer_error(request, BadRequest(str(error.detail), None))

    for kind in ERRORS:
        app.add_exception_handler(kind, answer_error)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer_error)
    headers = {FINGERPRINT_HEADER: services.info.contract.fingerprint}
    return Gate(
        app,
        max_body_bytes=limits.max_body_bytes,
        request_timeout_s=limits.request_timeout_s,
        admission=Admission(limits.allowed_hosts),
        headers=headers,
        on_done=on_done,
        on_error=on_error,
    )
