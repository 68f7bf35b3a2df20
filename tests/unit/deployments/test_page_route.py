"""The way through the ingress to the page: streams both ways, a page that moves, one that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from deployments import page_route
from deployments.page_route import PageRoute


async def echo(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse(
        {"path": request.url.path, "query": request.url.query, "length": len(body), "headers": dict(request.headers)}
    )


async def events(request: Request) -> StreamingResponse:
    async def tell() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: {number}\n\n"

    return StreamingResponse(tell(), media_type="text/event-stream")


PAGE = Starlette(
    routes=[Route("/ui/echo", echo, methods=["GET", "POST"]), Route("/ui/events", events), Route("/ui/", echo)]
)
API = Starlette(routes=[Route("/v1/models", lambda request: PlainTextResponse("the API"))])


class Moving(httpx.AsyncBaseTransport):
    """The page at one port; nothing listens at any other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hangs_up = 0
        """How many of the next requests meet a connection that is just being closed."""
        self._page = httpx.ASGITransport(PAGE)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.port != self.port:
            raise httpx.ConnectError("refused", request=request)
        if self.hangs_up:
            self.hangs_up -= 1
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        return await self._page.handle_async_request(request)


def through(transport: Moving, find: Any = None) -> httpx.AsyncClient:
    async def address() -> str:
        return f"http://127.0.0.1:{transport.port}"

    route = PageRoute(API, find or address, path="/ui", transport=transport)
    return httpx.AsyncClient(transport=httpx.ASGITransport(route), base_url="http://127.0.0.1:8000")


async def test_only_what_is_under_the_path_goes_to_the_page() -> None:
    async with through(Moving(7000)) as http:
        assert (await http.get("/v1/models")).text == "the API"
        assert (await http.get("/uix")).status_code == 404
        moved = await http.get("/ui")
        assert (moved.status_code, moved.headers["location"]) == (307, "/ui/")
        assert (await http.get("/ui/")).json()["path"] == "/ui/"


async def test_query_body_and_headers_arrive_without_those_of_the_connection() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000

    async with through(Moving(7000)) as http:
        sent = {"X-Own": "猫".encode(), "Connection": "keep-alive", "TE": "trailers"}
        got = (await http.post("/ui/echo?a=%E7%8C%AB&b", content=chunks(), headers=sent)).json()
        assert (got["query"], got["length"]) == ("a=%E7%8C%AB&b", 3000)
        assert got["headers"]["host"] == "127.0.0.1:8000", "the page makes its links from what the browser asked"
        assert "te" not in got["headers"]
        assert (await http.get("/ui/events")).text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_a_page_that_moved_is_found_again() -> None:
    transport = Moving(7000)
    async with through(transport) as http:
        assert (await http.get("/ui/")).status_code == 200
        transport.port = 7001
        assert (await http.post("/ui/echo", content=b"kept")).json()["length"] == 4


async def test_a_request_to_be_shown_something_is_repeated_where_the_page_hangs_up() -> None:
    transport = Moving(7000)
    async with through(transport) as http:
        assert (await http.get("/ui/")).status_code == 200
        transport.hangs_up = 1
        assert (await http.get("/ui/echo")).status_code == 200
        transport.hangs_up = 2
        assert (await http.get("/ui/echo")).status_code == 503, "once only"
        transport.hangs_up = 1
        assert (await http.post("/ui/echo", content=b"kept")).status_code == 503, "it may have been carried out"
        assert (await http.post("/ui/echo", content=b"kept")).status_code == 200


async def test_a_page_that_is_gone_is_503_and_the_api_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def elsewhere() -> str:
        return "http://127.0.0.1:1"

    async def never() -> str:
        raise TimeoutError

    for find in (elsewhere, never):
        async with through(Moving(7000), find) as http:
            gone = await http.get("/ui/")
            assert (gone.status_code, gone.json()["error"]["code"]) == (503, "unavailable")
            assert gone.headers["retry-after"] == "1"
            assert (await http.get("/v1/models")).status_code == 200


async def test_an_upload_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_route, "MAX_UPLOAD_BYTES", 10)
    async with through(Moving(7000)) as http:
        assert (await http.post("/ui/echo", content=b"x" * 10)).status_code == 200
        refused = await http.post("/ui/echo", content=b"x" * 11)
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
