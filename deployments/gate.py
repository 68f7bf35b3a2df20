"""The ASGI layer around the API: gives each request its id, lets it in or not, times it, bounds its body, and stamps
its answer.

It is plain ASGI and not a framework middleware, because those buffer bodies and cost more than the work they wrap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.admission import Admission
from deployments.deadline import HEADER, Deadline, seconds_of, until
from deployments.errors import BadRequest, CrossrayError, DeadlineExceeded, TooLarge, code_of
from deployments.keys.guard import Guard
from deployments.render import error_response
from deployments.request_ids import REQUEST_ID_HEADER, request_of
from deployments.request_log import log_answer
from deployments.shedding import Occupancy
from deployments.space import FINGERPRINT_HEADER
from deployments.stages import Stages
from deployments.traces import Traces

JOBS_PATH = "/v1/jobs"
OnDone: TypeAlias = Callable[[str, int, Stages], None]
"""Hears the route's operation, the status and the laps of each answered request."""
OnError: TypeAlias = Callable[[str, BaseException], None]
"""Hears the operation, and what an answer that is an error says."""


class Gate:
    """Puts a `Stages` in the request's state, refuses who may not ask and bodies over the limit, and writes the headers
    of ours."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        max_job_bytes: int,
        request_timeout_s: float,
        admission: Admission,
        guard: Guard,
        occupancy: Occupancy,
        fingerprint: Callable[[], str],
        on_done: OnDone = lambda operation, status, stages: None,
        on_error: OnError = lambda operation, error: None,
        slow_s: float = 5.0,
        echoes_request_id: bool = False,
        traces: Traces | None = None,
    ) -> None:
        """`max_job_bytes` bounds the bodies that create a job, which are spooled to disk, `max_body_bytes` all others.
        `fingerprint` is that of the default collection, for answers that concern no other. `slow_s` is from when on an
        answer is logged as slow. With `echoes_request_id` what stands in front, as Serve does, sends back what came as
        X-Request-ID."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._max_job_bytes = max_job_bytes
        self._request_timeout_s = request_timeout_s
        self._admission = admission
        self._guard = guard
        self._occupancy = occupancy
        self._fingerprint = fingerprint
        self._on_done = on_done
        self._on_error = on_error
        self._slow_s = slow_s
        self._echoes_request_id = echoes_request_id
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER)
        with request_of(given) as request_id:
            is_echoed = self._echoes_request_id and request_id == given
            await self._admit(scope, receive, send, {} if is_echoed else {REQUEST_ID_HEADER: request_id})

    async def _admit(self, scope: Scope, receive: Receive, send: Send, own_headers: Mapping[str, str]) -> None:
        stages = Stages()
        state = scope.setdefault("state", {})
        state["stages"] = stages
        status = 0

        async def send_stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                stages.lap("respond")
                headers = MutableHeaders(scope=message)
                headers["Server-Timing"] = stages.server_timing()
                headers.setdefault(FINGERPRINT_HEADER, state.get("fingerprint") or self._fingerprint())
                headers.update(own_headers)
                if self._traces is not None:
                    headers.update(self._traces.answered(scope, status, stages))
                self._on_done(state.get("operation", "unrouted"), message["status"], stages)
                log_answer(scope, message["status"], stages, self._slow_s)
            await send(message)

        caller = self._guard.caller(scope)
        writes = caller.call is not None and caller.call.writes
        overloaded = self._occupancy.refusal(scope["path"], writes=writes)
        if overloaded is not None:  # first: the cheapest, and then the likeliest
            await self._refuse(overloaded, scope, receive, send_stamped)
            return
        with self._occupancy.taken():
            try:
                refusal = self._admission.refusal(scope) or await self._guard.admit(scope, caller)
                stages.lap("auth")
                if (refusal := refusal or self._refusal_of_size(scope)) is not None:
                    await self._refuse(refusal, scope, receive, send_stamped)
                else:
                    await self._answer(scope, receive, send_stamped, lambda: status > 0)
            finally:
                self._guard.ended(scope, caller, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, is_started: Callable[[], bool]) -> None:
        """Within the caller's time or ours, whichever is shorter."""
        try:
            timeout_s = self._timeout_s(scope)
        except BadRequest as error:
            await self._refuse(error, scope, receive, send)
            return
        try:
            with until(Deadline(timeout_s)):
                async with asyncio.timeout(timeout_s):
                    await self._app(scope, self._bounded(receive, self._most(scope)), send)
        except TimeoutError:
            if is_started():
                raise
            await self._refuse(DeadlineExceeded(f"no answer within {timeout_s:g} s"), scope, receive, send)

    def _timeout_s(self, scope: Scope) -> float:
        """The caller's, where it is shorter than ours. Raises BadRequest."""
        wanted = seconds_of(Headers(scope=scope).get(HEADER))
        return self._request_timeout_s if wanted is None else min(wanted, self._request_timeout_s)

    def _refusal_of_size(self, scope: Scope) -> TooLarge | None:
        declared = dict(scope["headers"]).get(b"content-length", b"")
        most = self._most(scope)
        return _too_large(most) if declared.isdigit() and int(declared) > most else None

    def _most(self, scope: Scope) -> int:
        """Only a form is spooled; JSON is read into memory."""
        headers = dict(scope["headers"])
        is_form = headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data")
        return self._max_job_bytes if is_form and scope["path"] == JOBS_PATH else self._max_body_bytes

    async def _refuse(self, error: CrossrayError, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["error_code"] = code_of(error)
        self._on_error(scope["state"].get("operation", "unrouted"), error)
        await error_response(error)(scope, receive, send)

    def _bounded(self, receive: Receive, most: int) -> Receive:
        """Counts the stream's bytes, because a declared length may be missing."""
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise _too_large(most)
            return message

        return bounded


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {most} bytes", "body")
