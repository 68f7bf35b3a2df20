"""An overloaded process refuses at once: writes first, searches last, and its health never."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from deployments.api import HttpLimits
from deployments.errors import Unavailable
from deployments.shedding import Occupancy
from encoders.fake import FakeEncoder
from tests.unit.deployments.conftest import Start

LIMITS = HttpLimits(max_requests=4, max_requests_with_writes=2)


async def test_writes_are_refused_before_searches_and_health_never(start: Start) -> None:
    async with start(encoder=FakeEncoder(work_s=0.3), limits=LIMITS) as api:

        def search(text: str) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(api.http.post("/v1/search", json={"text": text}))

        async def write() -> Any:
            return (await api.http.post("/v1/items", json={"text": "a note"})).status_code

        under_way = [search("one"), search("two")]
        await asyncio.sleep(0.05)
        assert await write() == 429
        under_way += [search("three"), search("four")]
        await asyncio.sleep(0.05)
        refused = await search("five")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await api.http.get("/health/live")).status_code == 200
        assert [one.status_code for one in await asyncio.gather(*under_way)] == [200] * 4
        assert await write() == 201, "there is room again"
        assert api.errors == [("unrouted", "overloaded")] * 2


async def test_a_server_that_stops_lets_requests_end_and_nobody_in() -> None:
    occupancy = Occupancy(8, 8)
    with occupancy.taken():
        draining = asyncio.create_task(occupancy.drain(60))
        await asyncio.sleep(0)
        assert isinstance(occupancy.refusal("/v1/models", writes=False), Unavailable)
        assert occupancy.refusal("/health/live", writes=False) is None
        assert not draining.done()
    assert await draining == 0
    with occupancy.taken():
        assert await occupancy.drain(0.01) == 1


async def test_what_fails_or_is_given_up_leaves_room(start: Start) -> None:
    limits = HttpLimits(max_requests=1, max_requests_with_writes=1, request_timeout_s=0.1)
    async with start(encoder=FakeEncoder(work_s=0.3), limits=limits) as api:
        assert (await api.http.post("/v1/search", json={"text": "slow"})).status_code == 504
        assert (await api.http.post("/v1/search", json={"text": ""})).status_code == 400
        given_up = asyncio.create_task(api.http.post("/v1/search", json={"text": "nobody waits"}))
        await asyncio.sleep(0.02)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert (await api.http.get("/v1/models")).status_code == 200
