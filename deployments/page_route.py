"""The ingress's side of the web page: requests under its path go on to the page's own server, as streams. The pictures
that the page shows are below its path too, and answered by the API: see `deployments.page_entry`.

It stands outside the API's gate: a page's event streams last longer than an API request may, and its uploads are of
many files. They have a bound of their own.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from urllib.parse import quote

import httpx
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.admission import Admission
from deployments.errors import CrossrayError, TooLarge, Unavailable
from deployments.page_entry import CHINESE, PageEntry
from deployments.render import error_response

MAX_UPLOAD_BYTES = 1 << 30
"""Of one request: many photos go in one."""
CONNECT_S = 5.0
FIND_S = 10.0
KEPT_S = 5.0
"""How long an idle connection to the page's server is kept. That server keeps it for longer (`KEPT_BY_PAGE_S`), or a
request could go out on a connection that is just being closed."""
KEPT_BY_PAGE_S = 75
REPEATABLE = frozenset({"GET", "HEAD"})
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers of one connection, which a proxy does not pass on (RFC 9110, 7.6.1)."""
PICTURE = re.compile(rf"(?:{CHINESE})?(/v1/items/[^/]+/(?:image|thumbnail))")
"""Below the page's path, and what it is in the API."""
RawHeaders = list[tuple[bytes, bytes]]


class PageRoute:
    """An ASGI app before another: `api` answers whatever is not under the page's path."""

    def __init__(
        self,
        api: ASGIApp,
        find: Callable[[], Awaitable[str]],
        *,
        path: str,
        admission: Admission | None = None,
        entry: PageEntry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`admission` says who may ask; without one, whoever calls us by any name. `entry` asks for API keys where the
        API does; without one nobody is asked. `find` says where the page's server listens: a replica that was replaced
        listens elsewhere. `transport` replaces the network in tests."""
        self._api = api
        self._find = find
        self._path = path
        self._admission = admission or Admission()
        self._entry = entry
        self._url: str | None = None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=KEPT_S)
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        self._http = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False, transport=transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == self._path or path.startswith(f"{self._path}/")):
            await self._api(scope, receive, send)
        elif refusal := self._admission.refusal_of_caller(Headers(scope=scope)):
            await error_response(refusal)(scope, receive, send)
        elif path == self._path:
            await RedirectResponse(f"{self._path}/")(scope, receive, send)
        else:
            entered = scope if self._entry is None else await self._entry.enter(scope, receive)
            if isinstance(entered, Response):
                await entered(scope, receive, send)
            elif picture := PICTURE.fullmatch(path, len(self._path)):
                await self._api({**entered, "path": picture[1], "raw_path": quote(picture[1]).encode()}, receive, send)
            else:
                await self._forward(entered, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._ask(scope, receive)
        except CrossrayError as error:
            await error_response(error)(scope, receive, send)
            return
        except (httpx.TransportError, OSError) as error:
            gone = Unavailable(f"the page does not answer: {type(error).__name__}")
            await error_response(gone)(scope, receive, send)
            return
        try:
            headers = _end_to_end(response.headers.raw)
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _ask(self, scope: Scope, receive: Receive) -> httpx.Response:
        """The page's answer, its body still to be read. A page that moved is looked for once: connecting fails before
        anything of the request's body is read. What asks only to be shown something is asked again, too, where the page
        hung up before it answered."""
        if self._url is not None:
            try:
                return await self._http.send(self._request(self._url, scope, receive), stream=True)
            except httpx.ConnectError:
                self._url = None
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                if scope["method"] not in REPEATABLE:
                    raise
        async with asyncio.timeout(FIND_S):  # a replica that is starting is waited for no longer
            self._url = await self._find()
        return await self._http.send(self._request(self._url, scope, receive), stream=True)

    def _request(self, url: str, scope: Scope, receive: Receive) -> httpx.Request:
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        headers = _end_to_end(scope["headers"])
        names = {name for name, _ in scope["headers"]}
        has_body = b"transfer-encoding" in names or b"content-length" in names
        return httpx.Request(
            scope["method"],
            httpx.URL(url).copy_with(raw_path=target),
            headers=headers,
            content=_body(receive) if has_body else None,
        )


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """The request's body as it comes. Raises TooLarge, and Unavailable when the browser left in the middle."""
    seen = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unavailable("the browser left before it had sent everything")
        chunk = message.get("body", b"")
        seen += len(chunk)
        if seen > MAX_UPLOAD_BYTES:
            raise TooLarge(f"over the limit of {MAX_UPLOAD_BYTES} bytes for one upload", "body")
        more = message.get("more_body", False)
        if chunk:
            yield chunk


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
