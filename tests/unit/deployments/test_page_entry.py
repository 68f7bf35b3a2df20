"""The web page where API keys are asked for: its form, the cookie, and what the cookie is good for."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.browser_headers import PAGE_POLICY, BrowserHeaders
from deployments.database import Database
from deployments.keys.api_key import SCOPES, ApiKey
from deployments.keys.ring import KeyRing
from deployments.keys.store import KeyStore
from deployments.page_entry import COOKIE, PageEntry
from deployments.page_route import PageRoute
from tests.unit.deployments.conftest import Api, Picture, Start

HERE = "http://127.0.0.1:8000"
FORM = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form that was sent from our own page."""


async def _tell(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.url.path, "headers": dict(request.headers)})


PAGE = Starlette(routes=[Route("/ui/{rest:path}", _tell, methods=["GET", "POST", "DELETE"])])


class Server:
    """The ingress with the page, over an API that asks for keys."""

    def __init__(self, api: Api, store: KeyStore, ring: KeyRing) -> None:
        self.store = store
        self.keys: dict[str, tuple[ApiKey, str]] = {scope: store.create(scope, scope) for scope in SCOPES[:2]}

        async def address() -> str:
            return "http://127.0.0.1:7000"

        page = httpx.ASGITransport(PAGE)
        behind: Any = api.http._transport
        route = PageRoute(behind.app, address, path="/ui", entry=PageEntry(ring, "/ui"), transport=page)
        self._app = BrowserHeaders(route, PAGE_POLICY)

    def text(self, scope: str = "read") -> str:
        return self.keys[scope][1]

    def browser(self, base_url: str = HERE) -> httpx.AsyncClient:
        """With cookies of its own, which it sends where a browser would: by path, and by https."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url=base_url)

    @asynccontextmanager
    async def logged_in(self, scope: str = "read") -> AsyncIterator[httpx.AsyncClient]:
        async with self.browser() as http:
            answer = await log_in(http, self.text(scope))
            assert answer.status_code == 303, answer.text
            yield http


async def log_in(http: httpx.AsyncClient, key: str, path: str = "/ui/login", **headers: str) -> httpx.Response:
    return await http.post(path, data={"key": key}, headers=FORM | headers)


@pytest.fixture
async def server(start: Start, tmp_path: Path) -> AsyncIterator[Server]:
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    ring = KeyRing(store, required=True, refresh_s=0.001)
    async with start(keys=ring) as api:
        yield Server(api, store, ring)


@pytest.fixture
async def stored(server: Server, picture: Picture) -> str:
    """The id of an image."""
    async with server.browser() as http:
        headers = {"Authorization": f"Bearer {server.text('write')}"}
        answer = await http.post("/v1/items", files={"image": picture()}, headers=headers)
        return str(answer.json()["id"])


@pytest.mark.parametrize(
    ("path", "language", "label", "other"),
    [("/ui/", "en-US", "API key", "/ui/zh/"), ("/ui/zh/", "zh-CN", "API 密钥", "/ui/")],
)
async def test_who_has_no_session_is_shown_a_form_and_nothing_of_the_page(
    server: Server, path: str, language: str, label: str, other: str
) -> None:
    async with server.browser() as http:
        shown = await http.get(path, headers={"Accept": "text/html"})
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
        assert f'<html lang="{language}">' in shown.text
        assert f'<label for="key">{label}</label><input id="key" name="key" type="password"' in shown.text
        assert f'<form method="post" action="{path}login">' in shown.text
        assert f'<a href="{other}"' in shown.text
        assert 'role="alert"' not in shown.text
        assert re.findall(r"<script|https?:|//", shown.text) == [], "no script, and nothing from elsewhere"
        policy = shown.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "form-action 'self'" in policy
        assert (await http.get(f"{path}login")).text == shown.text


async def test_scripts_and_pictures_without_a_session_are_refused(server: Server, stored: str) -> None:
    async with server.browser() as http:
        headers = {"Authorization": f"Bearer {server.text()}"}
        for path in ("/ui/assets/a.js", "/ui/gradio_api/queue/data", f"/ui/v1/items/{stored}/image"):
            for given in ({}, headers):  # a key in a header is for the API
                refused = await http.get(path, headers=given)
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_missing")
        assert (await http.post("/ui/gradio_api/queue/join", json={})).status_code == 401
        shown = await http.get(f"/ui/v1/items/{stored}/image", headers={"Accept": "text/html,*/*"})
        assert 'type="password"' in shown.text, "a person who opens a picture later is asked, too"


async def test_a_key_opens_the_page_and_the_page_is_given_it(server: Server) -> None:
    async with server.browser() as http:
        answer = await log_in(http, f"  {server.text()}\n", "/ui/zh/login")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/zh/")
        cookie = answer.headers["set-cookie"]
        assert cookie == f"{COOKIE}={server.text()}; HttpOnly; Path=/ui; SameSite=strict"
        for path in ("/ui/", "/ui/zh/", "/ui/gradio_api/queue/data"):
            headers = (await http.get(path, headers={"X-API-Key": "x", "Authorization": "Basic x"})).json()["headers"]
            assert headers["authorization"] == f"Bearer {server.text()}"
            assert "cookie" not in headers
            assert "x-api-key" not in headers
        assert (await http.get("/ui/login")).headers["location"] == "/ui/"


@pytest.mark.parametrize(
    ("url", "headers"), [("https://photos.example", {}), (HERE, {"X-Forwarded-Proto": "https, http"})]
)
async def test_where_the_page_came_by_https_the_cookie_goes_by_nothing_else(
    server: Server, url: str, headers: dict[str, str]
) -> None:
    async with server.browser(url) as http:
        answer = await log_in(http, server.text(), Origin=url, **headers)
        assert answer.headers["set-cookie"].endswith("; Path=/ui; SameSite=strict; Secure")


@pytest.mark.parametrize("kind", ["unknown", "expired", "revoked", "missing"])
async def test_a_key_that_is_no_good_is_refused_with_the_reason(server: Server, kind: str) -> None:
    _, expired = server.store.create("old", "admin", expires_at=time.time() - 1)
    revoked, text = server.store.create("lost", "admin")
    server.store.revoke(revoked.id)
    wrong = server.text()[:-43] + "a" * 43
    given = {
        "unknown": (wrong, "<script>", "猫", "x" * 3000),
        "expired": (expired,),
        "revoked": (text,),
        "missing": ("",),
    }
    said = {"unknown": "no such API key", "expired": "has expired", "revoked": "been revoked", "missing": "Type in an"}
    async with server.browser() as http:
        for key in given[kind]:
            refused = await log_in(http, key)
            assert refused.status_code == 401
            assert re.search(rf'role="alert">[^<]*{said[kind]}', refused.text)
            assert 'aria-invalid="true"' in refused.text
            assert "set-cookie" not in refused.headers
            assert not key or key not in refused.text
        assert 'type="password"' in (await http.get("/ui/")).text
        chinese = await log_in(http, given[kind][0], "/ui/zh/login")
        assert (chinese.status_code, 'role="alert">' in chinese.text) == (401, True)
        assert said[kind] not in chinese.text


async def test_a_form_that_is_none_of_ours_is_refused(server: Server) -> None:
    async with server.browser() as http:
        long = await http.post("/ui/login", content=b"key=" + b"x" * 5000, headers=FORM)
        assert long.status_code == 413
        many = await http.post("/ui/login", content=b"&".join([b"a=b"] * 20), headers=FORM)
        assert many.status_code == 400
        # A page of another site that logs a visitor in with a key of its own would see what the visitor adds.
        for origin in ("https://evil.example", "http://127.0.0.1:9000", "null", "http://["):
            forged = await log_in(http, server.text(), Origin=origin)
            assert (forged.status_code, forged.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert "set-cookie" not in forged.headers


async def test_a_key_that_ended_ends_its_sessions(server: Server) -> None:
    async with server.logged_in() as http:
        assert (await http.get("/ui/a")).status_code == 200
        server.store.revoke(server.keys["read"][0].id)
        await _forgotten(http)
        refused = await http.get("/ui/gradio_api/queue/data")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_revoked")
        shown = await http.get("/ui/")
        assert (shown.status_code, "has been revoked" in shown.text) == (401, True)
        assert COOKIE not in http.cookies, "the next visit is not told again"
        assert (await http.get("/ui/")).status_code == 200


async def _forgotten(http: httpx.AsyncClient) -> None:
    """Until the ring has read the keys anew, which it does beside a request."""
    for _ in range(200):
        if (await http.get("/ui/a")).status_code != 200:
            return
    raise AssertionError("a revoked key is still taken")


async def test_logging_out_forgets_the_key_and_only_our_own_page_can(server: Server) -> None:
    async with server.logged_in() as http:
        forged = await http.post("/ui/logout", headers={"Origin": "https://evil.example"})
        assert forged.status_code == 403
        assert (await http.get("/ui/logout")).headers["location"] == "/ui/", "a link or a picture logs nobody out"
        assert COOKIE in http.cookies
        answer = await http.post("/ui/logout", headers=FORM)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")
        assert COOKIE not in http.cookies
        assert 'type="password"' in (await http.get("/ui/")).text


async def test_the_api_takes_no_cookie(server: Server, stored: str) -> None:
    """Neither one that the browser sends, which sends it to the page alone, nor one that somebody adds."""
    async with server.logged_in("write") as http:
        assert (await http.get("/v1/items")).status_code == 401
        cookie = {"Cookie": f"{COOKIE}={server.text('write')}", **FORM}
        for method, path in (
            ("GET", "/v1/items"),
            ("GET", f"/v1/items/{stored}/image"),
            ("POST", "/v1/items"),
            ("POST", "/v1/search"),
            ("DELETE", f"/v1/items/{stored}"),
        ):
            body: dict[str, Any] = {"json": {"text": "a"}} if method == "POST" else {}
            refused = await http.request(method, path, headers=cookie, **body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_missing")


async def test_pictures_are_below_the_page_and_nothing_else_of_the_api_is(server: Server, stored: str) -> None:
    async with server.logged_in("write") as http:
        for base in ("/ui", "/ui/zh"):
            for size in ("image", "thumbnail"):
                shown = await http.get(f"{base}/v1/items/{stored}/{size}", headers={"Sec-Fetch-Site": "same-origin"})
                assert shown.status_code == 200
                assert shown.headers["content-type"].startswith("image/")
                assert "sandbox" in shown.headers["content-security-policy"]
        assert (await http.get("/ui/v1/items/nonesuch/image")).json()["error"]["code"] == "not_found"
        assert (await http.post(f"/ui/v1/items/{stored}/image", json={}, headers=FORM)).status_code == 405
        for method, path in (
            ("GET", "v1/items"),
            ("DELETE", f"v1/items/{stored}"),
            ("POST", "v1/items"),
            ("GET", "docs"),
        ):
            answer = await http.request(method, f"/ui/{path}", headers=FORM)
            assert answer.json()["path"] == f"/ui/{path}", "it went to the page's own server, which has no such thing"


async def test_the_cookie_does_not_count_for_pages_of_others(server: Server, stored: str) -> None:
    async with server.logged_in() as http:
        for site in ("cross-site", "same-site"):  # another site; another port of this host
            headers = {"Sec-Fetch-Site": site}
            assert (await http.get(f"/ui/v1/items/{stored}/image", headers=headers)).status_code == 401
            assert (await http.get("/ui/gradio_api/queue/data", headers=headers)).status_code == 401
            assert 'type="password"' in (await http.get("/ui/", headers=headers)).text
        joined = await http.post("/ui/gradio_api/queue/join", json={}, headers={"Origin": "https://evil.example"})
        assert joined.status_code == 403
        for site in ("same-origin", "none"):
            assert (await http.get("/ui/", headers={"Sec-Fetch-Site": site})).json()["path"] == "/ui/"


async def test_where_no_keys_are_asked_for_there_is_no_form(start: Start, tmp_path: Path, picture: Picture) -> None:
    store = KeyStore(Database(f"sqlite:///{tmp_path}/other.sqlite3"))
    ring = KeyRing(None, required=False)
    async with start(keys=ring) as api, Server(api, store, ring).browser() as http:
        id = (await http.post("/v1/items", files={"image": picture()})).json()["id"]
        assert (await http.get("/ui/")).json()["path"] == "/ui/"
        assert (await http.get(f"/ui/v1/items/{id}/thumbnail")).status_code == 200
        assert (await http.post("/ui/gradio_api/queue/join", json={})).status_code == 200


async def test_keys_that_cannot_be_checked_let_nobody_in(tmp_path: Path, start: Start) -> None:
    store = KeyStore(Database(f"sqlite:///{tmp_path}/state.sqlite3"))
    ring = KeyRing(KeyStore(Database(f"sqlite:///{tmp_path}/none/of/these.sqlite3")), required=True)
    (tmp_path / "none").write_text("no folder")
    async with start(keys=ring) as api:
        server = Server(api, store, ring)
        async with server.browser() as http:
            refused = await log_in(http, server.text())
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "keys_unavailable")
            assert "set-cookie" not in refused.headers


async def test_refused_keys_are_in_the_audit_log_without_the_key(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    revoked, text = server.store.create("lost", "admin")
    server.store.revoke(revoked.id)
    with caplog.at_level(logging.INFO, "crossray.audit"):
        async with server.browser() as http:
            await log_in(http, text)
    lines = [record.__dict__["audit"] for record in caplog.records if record.name == "crossray.audit"]
    assert [(line["key"], line["call"], line["code"]) for line in lines] == [
        (revoked.id, "POST /ui/login", "api_key_revoked")
    ]
    assert text not in json.dumps(lines)
