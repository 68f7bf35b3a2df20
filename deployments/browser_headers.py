"""What answers tell browsers: not to guess types, not to let other sites frame or embed what is here, and to send no
address of ours along; and which other sites' pages may call the API, if any.

Plain ASGI around everything that is served. (OWASP Secure Headers Project; Fetch standard for CORS and
Cross-Origin-Resource-Policy.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments import deadline, request_ids
from deployments.space import FINGERPRINT_HEADER

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Answers of the API are no documents: shown as one they run, load and submit nothing."""
DOCS_PATH = "/docs"
DOCS_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    "style-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: https://fastapi.tiangolo.com; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""FastAPI's page of the documentation, whose script comes from elsewhere."""
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Gradio's scripts and styles are inline, and it evaluates what its components bring along."""
ALLOWED_METHODS = ("GET", "POST", "DELETE")
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "X-API-Key",
    FINGERPRINT_HEADER,
    request_ids.REQUEST_ID_HEADER,
    deadline.HEADER,
)
EXPOSED_HEADERS = (FINGERPRINT_HEADER, "Server-Timing", "Retry-After", request_ids.REQUEST_ID_HEADER)
PREFLIGHT_KEPT_S = 600


class BrowserHeaders:
    """Adds the headers to every answer that has none of its own."""

    def __init__(self, app: ASGIApp, policy: str, others: Mapping[str, str] = {}) -> None:
        """`policy` is the Content-Security-Policy, but of the paths in `others`."""
        self._app = app
        self._policy = policy
        self._others = dict(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in EVERYWHERE.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", self._others.get(scope["path"], self._policy))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def guard_api(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """The API with these headers, and for pages of these origins too. No cookie of ours goes along with those: they
    have to have a key of their own."""
    guarded = BrowserHeaders(app, API_POLICY, {DOCS_PATH: DOCS_POLICY})
    if not origins:
        return guarded
    return CORSMiddleware(
        guarded,
        allow_origins=list(origins),
        allow_methods=ALLOWED_METHODS,
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=PREFLIGHT_KEPT_S,
    )
