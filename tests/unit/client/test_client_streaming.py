"""An image on disk goes out piece by piece, with its length said beforehand."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import httpx

from crossray_client import AsyncClient, Client, NewItem

SIZE = 24 << 20
STORED = {"id": "a", "created": True, "kind": "image", "fingerprint": "f"}


class Swallow(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Reads a request as a socket would, and keeps only its measures."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.said = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        self.pieces = [len(piece) for piece in request.stream]
        return self._answer(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        self.pieces = [len(piece) async for piece in request.stream]
        return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.said = int(request.headers["content-length"])
        return httpx.Response(201, json=STORED)


def check(swallow: Swallow, peak: int) -> None:
    assert sum(swallow.pieces) == swallow.said > SIZE
    assert max(swallow.pieces) <= 1 << 16
    assert peak < SIZE // 8


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(SIZE)
    item = NewItem(image=path)

    async def store_async(swallow: Swallow) -> None:
        async with AsyncClient("http://server", transport=swallow, trust_env=False) as client:
            await client.store(item)

    def store_sync(swallow: Swallow) -> None:
        with Client("http://server", transport=swallow, trust_env=False) as client:
            client.store(item)

    for store in (store_sync, lambda swallow: asyncio.run(store_async(swallow))):
        swallow = Swallow()
        tracemalloc.start()
        try:
            store(swallow)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        check(swallow, peak)
