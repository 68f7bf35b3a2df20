"""Every call of the API, by every kind of key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from deployments.api import HttpLimits, build_api
from deployments.database import Database
from deployments.keys.api_key import SCOPES, generate
from deployments.keys.rates import Rate
from deployments.keys.ring import KeyRing
from deployments.keys.scopes import ROUTE_SCOPES, RouteScopes
from deployments.keys.store import KeyStore
from tests.unit.deployments.conftest import Api, Start

CALLS = sorted(ROUTE_SCOPES.items())
CALLERS = ("no key", "a key nobody made", "a key with a wrong secret", "expired", "revoked", *SCOPES)


class Callers:
    """Keys in a real database: one of each scope, and those that are good for nothing."""

    def __init__(self, folder: Path) -> None:
        self.store = KeyStore(Database(f"sqlite:///{folder}/state.sqlite3"))
        made = {scope: self.store.create(scope, scope) for scope in SCOPES}
        expired = self.store.create("expired", "admin", expires_at=time.time() - 1)
        revoked = self.store.create("revoked", "admin")
        self.store.revoke(revoked[0].id)
        wrong = f"crossray_{made['admin'][0].id}_{'a' * 43}"
        self.ids = {scope: key.id for scope, (key, _) in made.items()}
        self.texts = {scope: text for scope, (_, text) in made.items()} | {
            "a key nobody made": generate()[1],
            "a key with a wrong secret": wrong,
            "expired": expired[1],
            "revoked": revoked[1],
        }

    def headers(self, caller: str) -> dict[str, str]:
        return {} if caller == "no key" else {"Authorization": f"Bearer {self.texts[caller]}"}


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


@pytest.fixture
async def guarded(start: Start, callers: Callers) -> AsyncIterator[Api]:
    async with start(keys=KeyRing(callers.store, required=True)) as api:
        yield api


def whole_api(keys: KeyRing | None = None, collections: Any = None) -> Any:
    """Every route there is, over nothing: a call that is let in breaks behind the gate."""
    nothing: Any = SimpleNamespace(fingerprint=lambda: "0" * 16) if collections is None else collections
    return build_api(nothing, HttpLimits(), keys=keys, job_service=nothing, collection_admin=nothing)


def expected(access: str, caller: str) -> str | None:
    """The code of the refusal; None where the caller is let in."""
    refused = {
        "no key": "api_key_missing",
        "a key nobody made": "api_key_unknown",
        "a key with a wrong secret": "api_key_unknown",
        "expired": "api_key_expired",
        "revoked": "api_key_revoked",
    }
    if access == "public":
        return None
    if caller in refused:
        return refused[caller]
    return None if SCOPES.index(caller) >= SCOPES.index(access) else "insufficient_scope"  # type: ignore[arg-type]


async def test_every_call_by_every_caller(callers: Callers) -> None:
    app = whole_api(KeyRing(callers.store, required=True))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://crossray") as http:
        for (method, route), access in CALLS:
            path = route.replace("{version}", "1").replace("{", "").replace("}", "")
            for caller in CALLERS:
                body = {"json": {}} if method == "POST" else {}
                answer = await http.request(method, path, headers=callers.headers(caller), **body)
                code = answer.json()["error"]["code"] if answer.is_error else None
                what = f"{method} {route} by {caller}: {answer.status_code} {answer.text[:200]}"
                if (wanted := expected(access, caller)) is None:
                    assert answer.status_code not in (401, 403, 404, 405), what
                else:
                    assert (answer.status_code, code) == (403 if wanted == "insufficient_scope" else 401, wanted), what
                    assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
                    assert not any(text in answer.text for text in callers.texts.values())


async def test_the_table_has_the_routes_of_the_app_and_no_others(callers: Callers) -> None:
    transport = httpx.ASGITransport(whole_api())
    async with httpx.AsyncClient(transport=transport, base_url="http://crossray") as http:
        spec = (await http.get("/openapi.json")).json()
    documented = {(method.upper(), path) for path, item in spec["paths"].items() for method in item}
    hidden = {("GET", "/docs"), ("GET", "/openapi.json"), ("POST", "/v2/rerank")}
    assert documented | hidden == set(ROUTE_SCOPES)
    for method, route in documented:
        asked = spec["paths"][route][method.lower()].get("security")
        access = ROUTE_SCOPES[method, route]
        assert asked == ([] if access == "public" else [{"apiKey": [access]}]), route
    assert spec["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


def test_an_app_with_a_route_that_has_no_scope_does_not_start() -> None:
    router = APIRouter()

    @router.put("/v1/items/{id}")
    async def forgotten(id: str) -> None: ...

    with pytest.raises(LookupError, match=r"PUT /v1/items/\{id\} has no scope"):
        RouteScopes(router.routes)


@pytest.mark.parametrize("path", ["/nowhere", "/v1/items/a/b/c", "/v1/search/", "//v1/search", "/V1/SEARCH", "/docs/x"])
async def test_what_is_no_route_is_told_only_to_who_has_a_key(guarded: Api, callers: Callers, path: str) -> None:
    for method in ("GET", "POST", "PATCH", "OPTIONS"):
        refused = await guarded.http.request(method, path, headers={"Content-Type": "application/json"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_missing")
    known = await guarded.http.get(path, headers=callers.headers("read"), follow_redirects=True)
    assert known.status_code in (404, 405)


async def test_paths_that_look_like_public_ones_are_not(guarded: Api) -> None:
    for path in ("/health/live/../../v1/items", "/health%2Flive", "/v1/items?path=/health/live", "/v1/items;/docs"):
        answer = await guarded.http.get(path)
        assert answer.status_code in (200, 401), path
        assert "items" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer "},
        {"Authorization": "Basic {key}"},
        {"Authorization": "{key}"},
        {"Authorization": "Bearer {key}x"},
        {"Authorization": "Bearer x{key}"},
        {"X-API-Key": "{key}x"},
        {"Authorization": "Bearer " + "a" * 60_000},
        {"Authorization": "Bearer crossray_%27;drop table api_keys_" + "a" * 43},
        {"Cookie": "Authorization={key}"},
    ],
)
async def test_what_is_not_quite_a_key_is_none(guarded: Api, callers: Callers, headers: dict[str, str]) -> None:
    key = callers.texts["admin"]
    sent = {name: value.replace("{key}", key) for name, value in headers.items()}
    answer = await guarded.http.get("/v1/models", headers=sent)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("name", ["bearer {}", "BEARER {}", "Bearer  {} "])
async def test_a_key_may_come_as_conventional_clients_send_it(guarded: Api, callers: Callers, name: str) -> None:
    key = callers.texts["read"]
    for headers in ({"Authorization": name.format(key)}, {"X-API-Key": key}):
        assert (await guarded.http.get("/v1/models", headers=headers)).status_code == 200


async def test_a_key_in_the_address_is_no_key(guarded: Api, callers: Callers) -> None:
    key = callers.texts["admin"]
    assert (await guarded.http.get(f"/v1/models?api_key={key}&key={key}")).status_code == 401


async def test_without_a_key_no_body_is_read(guarded: Api) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(3):
            read += 1
            yield b"x" * 1024

    answer = await guarded.http.post("/v1/items", content=body(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, read) == (401, 0)
    assert guarded.errors == [("unrouted", "api_key_missing")]


async def test_readiness_needs_no_key(guarded: Api) -> None:
    assert (await guarded.http.get("/health/ready")).status_code == 200
    assert (await guarded.http.head("/health/live")).status_code in (200, 405)


async def test_a_key_of_each_scope_does_its_work(guarded: Api, callers: Callers) -> None:
    write, read = callers.headers("write"), callers.headers("read")
    stored = (await guarded.http.post("/v1/items", json={"text": "a cat"}, headers=write)).json()
    assert (await guarded.http.get(f"/v1/items/{stored['id']}", headers=read)).json()["text"] == "a cat"
    refused = await guarded.http.delete(f"/v1/items/{stored['id']}", headers=read)
    assert refused.status_code == 403
    assert "scope write" in refused.json()["error"]["message"]
    assert callers.ids["read"] in refused.json()["error"]["message"]
    assert await guarded.index.count() == 1
    assert (await guarded.http.delete(f"/v1/items/{stored['id']}", headers=write)).status_code == 200


async def test_open_until_the_first_key_is_made(start: Start, tmp_path: Path) -> None:
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    async with start(keys=KeyRing(store, refresh_s=0.05)) as api:
        assert (await api.http.get("/v1/models")).status_code == 200
        key, text = store.create("first", "read")
        for _ in range(500):
            if (refused := await api.http.get("/v1/models")).status_code == 401:
                break
            await asyncio.sleep(0.02)
        assert refused.status_code == 401
        assert (await api.http.get("/v1/models", headers={"Authorization": f"Bearer {text}"})).status_code == 200
        store.revoke(key.id)
        await asyncio.sleep(0.1)
        assert (await api.http.get("/v1/models")).status_code == 401, "the last key's end opens nothing"


async def test_a_key_that_calls_too_often_is_told_when_to_come_back(start: Start, callers: Callers) -> None:
    ring = KeyRing(callers.store, required=True)
    async with start(keys=ring, limits=HttpLimits(rate=Rate(0.01, burst=3))) as api:
        statuses = [(await api.http.get("/v1/models", headers=callers.headers("read"))).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await api.http.get("/v1/models", headers=callers.headers("read"))
        assert (refused.json()["error"]["type"], refused.json()["error"]["code"]) == (
            "rate_limit_error",
            "rate_limited",
        )
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert (await api.http.get("/health/live")).status_code == 200
        texts = {"input": ["a", "b", "c", "d"]}
        assert (await api.http.post("/v1/embeddings", json=texts, headers=callers.headers("write"))).status_code == 200
        owed = await api.http.get("/v1/models", headers=callers.headers("write"))
        assert 190 <= int(owed.headers["retry-after"]) <= 200, "four inputs of three"
        assert (await api.http.get("/v1/models", headers=callers.headers("admin"))).status_code == 200
