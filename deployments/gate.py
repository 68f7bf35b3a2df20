"""The ASGI layer around the API: lets each request in or not, times it, bounds its body, and stamps its answer.

It is plain ASGI and not a framework middleware, because those buffer bodies and cost more than the work they wrap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.admission import Admission
from deployments.errors import CrossrayError, DeadlineExceeded, TooLarge, code_of
from deployments.render import error_response
from deployments.stages import Stages


class Gate:
    """Puts a `Stages` in the request's state, refuses who may not ask and bodies over the limit, and writes the headers
    of ours."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        request_timeout_s: float,
        admission: Admission,
        headers: Mapping[str, str],
        on_done: Callable[[str, Stages], None] = lambda operation, stages: None,
        on_error: Callable[[str, str], None] = lambda operation, code: None,
    ) -> None:
        """`on_done` hears the route's operation and the laps of each answered request, `on_error` what is refused here
        and with which code."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._request_timeout_s = request_timeout_s
        self._admission = admission
        self._headers = headers
        self._on_done = on_done
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stages = Stages()
        state = scope.setdefault("state", {})
        state["stages"] = stages

        started = False

        async def send_stamped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                stages.lap("respond")
                headers = MutableHeaders(scope=message)
                headers["Server-Timing"] = stages.server_timing()
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                self._on_done(state.get("operation", "unrouted"), stages)
            await send(message)

        refusal = self._admission.refusal(scope) or self._refusal_of_size(scope)
        if refusal is not None:
            await self._refuse(refusal, scope, receive, send_stamped)
            return
        try:
            async with asyncio.timeout(self._request_timeout_s):
                await self._app(scope, self._bounded(receive), send_stamped)
        except TimeoutError:
            if started:
                raise
            late = DeadlineExceeded(f"no answer within {self._request_timeout_s:g} s")
            await self._refuse(late, scope, receive, send_stamped)

    def _refusal_of_size(self, scope: Scope) -> TooLarge | None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        return self._too_large() if declared.isdigit() and int(declared) > self._max_body_bytes else None

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is over the limit of {self._max_body_bytes} bytes", "body")

    async def _refuse(self, error: CrossrayError, scope: Scope, receive: Receive, send: Send) -> None:
        self._on_error(scope["state"].get("operation", "unrouted"), code_of(error))
        await error_response(error)(scope, receive, send)

    def _bounded(self, receive: Receive) -> Receive:
        """Counts the stream's bytes, because a declared length may be missing."""
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._max_body_bytes:
                    raise self._too_large()
            return message

        return bounded
