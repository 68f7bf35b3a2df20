"""The FastAPI application over the services: routes, the errors table, deadlines, and the gate around it all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from deployments.activity import Activity
from deployments.admission import Admission
from deployments.bodies import explain_faults
from deployments.browser_headers import guard_api
from deployments.cluster_state import ClusterStatePort, OneProcess
from deployments.collection_admin import CollectionAdmin
from deployments.errors import ERRORS, BadRequest, MethodNotAllowed, NotFound, code_of
from deployments.gate import Gate, OnDone, OnError
from deployments.jobs.service import JobService
from deployments.keys.guard import Guard
from deployments.keys.rates import UNLIMITED, Rate
from deployments.keys.ring import KeyRing
from deployments.keys.scopes import RouteScopes
from deployments.openapi import document_bodies
from deployments.render import error_response
from deployments.resolving import Collections, OneCollection
from deployments.routes import collections as collection_routes
from deployments.routes import embeddings, items, jobs, rerank, search, status
from deployments.schemas.collections import NewCollection, PromoteRequest, ReindexRequest
from deployments.schemas.embeddings import EmbeddingsRequest
from deployments.schemas.items import Item, ItemBatch, LookupRequest
from deployments.schemas.jobs import JobRequest
from deployments.schemas.match import MatchRequest
from deployments.schemas.rerank import RerankRequest
from deployments.schemas.search import SearchRequest
from deployments.services import Services
from deployments.shedding import Occupancy
from deployments.stages import Stages
from deployments.traces import Traces

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Finds images by text, images by image and texts by image. Any request may carry `X-Request-Timeout-Ms`, the "
    "milliseconds that its caller waits: after that it is answered with 504, and no part of the cluster works for it."
)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one request, and by which names it may come."""

    max_body_bytes: int = 32 << 20
    max_job_bytes: int = 256 << 20
    request_timeout_s: float = 60.0
    max_requests: int = 256
    """Under way at once."""
    max_requests_with_writes: int = 192
    """Under way at once for a write to be let in."""
    slow_s: float = 5.0
    """What takes as long is logged."""
    allowed_hosts: frozenset[str] | None = None
    """Names that requests may ask for in their `Host`; None for any."""
    allowed_origins: tuple[str, ...] = ()
    """Of other sites whose pages may call, such as `https://photos.example`."""
    rate: Rate = UNLIMITED
    """Of API keys that have none of their own."""

    def occupancy(self) -> Occupancy:
        """With nobody in it."""
        return Occupancy(self.max_requests, self.max_requests_with_writes)


def build_api(
    services: Services | Collections,
    limits: HttpLimits,
    *,
    keys: KeyRing | None = None,
    occupancy: Occupancy | None = None,
    job_service: JobService | None = None,
    collection_admin: CollectionAdmin | None = None,
    activity: Activity | None = None,
    cluster: ClusterStatePort | None = None,
    on_done: OnDone = lambda operation, status, stages: None,
    on_error: OnError = lambda operation, error: None,
    echoes_request_id: bool = False,
    traces: Traces | None = None,
) -> ASGIApp:
    """The whole HTTP API as one ASGI app, over collections, or over the services of the only one; without
    `job_service` there is no `/v1/jobs`, and without `collection_admin` no `/v1/collections`. Without `keys` it is open
    to everybody. Raises LookupError for a route that no scope is given for.

    `on_done` and `on_error` feed the metrics; `activity`, which others may feed too, and `cluster` are for
    `/v1/status`; for `echoes_request_id` see `Gate`.
    """
    collections = OneCollection(services) if isinstance(services, Services) else services
    activity = activity or Activity()
    app, scopes = _routed(collections, activity, cluster or OneProcess(), job_service, collection_admin)

    def done(operation: str, status: int, stages: Stages) -> None:
        activity.answered(operation, stages.total_s)
        on_done(operation, status, stages)

    def failed(operation: str, error: BaseException) -> None:
        activity.failed(operation)
        on_error(operation, error)

    async def answer_error(request: Request, error: Exception) -> Response:
        request.state.error_code = code_of(error)
        failed(getattr(request.state, "operation", "unrouted"), error)
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
    gate = Gate(
        app,
        max_body_bytes=limits.max_body_bytes,
        max_job_bytes=limits.max_job_bytes,
        request_timeout_s=limits.request_timeout_s,
        admission=Admission(limits.allowed_hosts, limits.allowed_origins),
        guard=Guard(keys or KeyRing(None, required=False), scopes, limits.rate),
        occupancy=occupancy or limits.occupancy(),
        fingerprint=collections.fingerprint,
        on_done=done,
        on_error=failed,
        slow_s=limits.slow_s,
        echoes_request_id=echoes_request_id,
        traces=traces,
    )
    return guard_api(gate, limits.allowed_origins)


def openapi() -> dict[str, Any]:
    """What `/openapi.json` says where every call is there: jobs and collections too."""
    never_called: Any = object()
    return _routed(never_called, never_called, never_called, never_called, never_called)[0].openapi()


def _routed(
    collections: Collections,
    activity: Activity,
    cluster: ClusterStatePort,
    job_service: JobService | None,
    collection_admin: CollectionAdmin | None,
) -> tuple[FastAPI, RouteScopes]:
    app = FastAPI(
        title="Crossray", version="1", description=DESCRIPTION, redoc_url=None, swagger_ui_oauth2_redirect_url=None
    )
    own = list(app.routes)
    routers = [module.router(collections) for module in (search, items, embeddings, rerank)]
    routers.append(status.router(collections, activity, cluster))
    routers += [] if job_service is None else [jobs.router(job_service)]
    routers += [] if collection_admin is None else [collection_routes.router(collection_admin)]
    for router in routers:
        app.include_router(router)
    document_bodies(
        app,
        SearchRequest,
        Item,
        ItemBatch,
        LookupRequest,
        EmbeddingsRequest,
        MatchRequest,
        RerankRequest,
        *([] if job_service is None else [JobRequest]),
        *(() if collection_admin is None else (NewCollection, ReindexRequest, PromoteRequest)),
    )
    return app, RouteScopes([*own, *(route for router in routers for route in router.routes)])
