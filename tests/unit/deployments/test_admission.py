"""Who is let in: programs, and pages of this server; not the pages of others, by whatever name they call it."""

from __future__ import annotations

import pytest

from deployments.api import HttpLimits
from tests.unit.deployments.conftest import Api, Start

LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


async def status(api: Api, path: str = "/health/live", **headers: str) -> tuple[int, str | None]:
    """The status, and the field at fault."""
    answer = await api.http.get(path, headers=headers)
    return answer.status_code, answer.json()["error"]["param"] if answer.is_error else None


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:9", "[::1]", "[::1]:8000", "localhost."])
async def test_a_name_of_this_machine_is_served(start: Start, host: str) -> None:
    async with start(limits=HttpLimits(allowed_hosts=LOOPBACK)) as api:
        assert await status(api, host=host) == (200, None)


@pytest.mark.parametrize("host", ["rebound.example", "127.0.0.1.rebound.example:8000", "localhost.rebound.example", ""])
async def test_a_name_that_somebody_else_pointed_here_is_not(start: Start, host: str) -> None:
    async with start(limits=HttpLimits(allowed_hosts=LOOPBACK)) as api:
        for path in ("/health/live", "/v1/items", "/docs"):
            assert await status(api, path, host=host) == (403, "Host")
        answer = await api.http.post(
            "/v1/items", json={"text": "a"}, headers={"host": host, "origin": f"http://{host}"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")
        assert "http.allowed_hosts" in answer.json()["error"]["message"]
        assert await api.index.count() == 0
        assert {code for _, code in api.errors} == {"host_not_allowed"}


async def test_a_page_of_this_server_may_call_it(api: Api) -> None:
    headers = {"host": "localhost:8000", "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    assert (await api.http.post("/v1/items", json={"text": "a"}, headers=headers)).status_code == 201
    assert await status(api, **headers) == (200, None)


async def test_what_curl_sends_is_taken_for_json(api: Api) -> None:
    for kind in ("application/x-www-form-urlencoded", "application/json; charset=utf-8", "Application/JSON"):
        sent = await api.http.post("/v1/search", content=b'{"text": "a"}', headers={"content-type": kind})
        assert sent.status_code == 200, sent.text
