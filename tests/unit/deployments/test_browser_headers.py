"""What answers tell browsers, and which other sites' pages may call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deployments.api import HttpLimits
from tests.unit.deployments.conftest import Api, Picture, Start

PHOTOS = "https://photos.example"


@pytest.fixture
async def shared(start: Start) -> AsyncIterator[Api]:
    """An API that pages of one other site may call."""
    async with start(limits=HttpLimits(allowed_origins=(PHOTOS,))) as api:
        yield api


async def test_every_answer_has_the_headers(api: Api, picture: Picture) -> None:
    stored = await api.http.post("/v1/items", files={"image": picture()})
    id = stored.json()["id"]
    answers = [
        stored,
        await api.http.post("/v1/search", json={"text": "a"}),
        await api.http.post("/v1/search", content=b"{"),
        await api.http.get("/nowhere"),
        await api.http.get(f"/v1/items/{id}/image"),
        await api.http.get(f"/v1/items/{id}/thumbnail"),
        await api.http.get("/docs"),
        await api.http.get("/health/ready"),
        await api.http.get("/v1/items", headers={"origin": "https://evil.example"}),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert ("frame-ancestors 'none'" in policy) or "sandbox" in policy
        assert "access-control-allow-origin" not in answer.headers


async def test_no_other_site_may_call_unless_it_is_listed(api: Api, shared: Api) -> None:
    preflight = {"Origin": PHOTOS, "Access-Control-Request-Method": "POST"}
    assert (await api.http.options("/v1/search", headers=preflight)).status_code == 403
    answer = await shared.http.options(
        "/v1/search", headers=preflight | {"Access-Control-Request-Headers": "authorization, content-type"}
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PHOTOS
    assert {"GET", "POST", "DELETE"} == set(answer.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers, "no cookie goes along"
    found = await shared.http.post("/v1/search", json={"text": "a"}, headers={"Origin": PHOTOS})
    assert found.status_code == 200
    assert found.headers["access-control-allow-origin"] == PHOTOS
    assert "Origin" in found.headers["vary"]
    assert "Retry-After" in found.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin",
    ["http://photos.example", "https://photos.example.evil.example", "https://photos.example:8443", "null", "evil"],
)
async def test_what_is_not_quite_a_listed_origin_is_none(shared: Api, origin: str) -> None:
    answer = await shared.http.post("/v1/items", json={"text": "a"}, headers={"Origin": origin})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in answer.headers
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    refused = await shared.http.options("/v1/items", headers=preflight)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert await shared.index.count() == 0
