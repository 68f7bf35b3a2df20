"""For whom the page calls the API: through Gradio's own queue, to an API that asks for keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deployments.api import HttpLimits, build_api
from deployments.database import Database
from deployments.jobs.options import Jobs
from deployments.keys.api_key import SCOPES
from deployments.keys.ring import KeyRing
from deployments.keys.store import KeyStore
from deployments.services import Services
from page.api import Api
from page.site import Site
from page.uploads import store_all, upload_table
from page.words import Words
from tests.unit.deployments.job_stack import CountingDoorbell
from tests.unit.page.conftest import Photo

gr = pytest.importorskip("gradio", reason="the page is Gradio's")
HOST = "photos.example"


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(Database(f"sqlite:///{tmp_path}/keys.sqlite3"))


@pytest.fixture
async def guarded(services: Services, jobs: Jobs, keys: KeyStore) -> AsyncIterator[Api]:
    """The page's way to an API that asks for keys, and is served by one name alone."""
    from page.caller import caller_headers

    limits = HttpLimits(allowed_hosts=frozenset((HOST,)))
    app = build_api(services, limits, keys=KeyRing(keys, required=True), job_service=jobs.service(CountingDoorbell()))
    api = Api("http://127.0.0.1:8000", caller=caller_headers, transport=httpx.ASGITransport(app))
    yield api
    await api.close()


@asynccontextmanager
async def served(api: Api, photos: list[Path]) -> AsyncIterator[httpx.AsyncClient]:
    """A page of one event, which stores photos a few at a time and shows each outcome."""
    site = Site(api, Words("en"), "/ui")

    async def add() -> AsyncIterator[str]:
        async for uploads in store_all(site.api, photos, [], "default"):
            yield upload_table(site.words, uploads)

    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Button().click(add, None, gr.HTML())
    blocks.queue(default_concurrency_limit=4)
    app: Any = gr.mount_gradio_app(FastAPI(), blocks, path="/ui", ssr_mode=False)
    base_url = f"http://{HOST}/ui/gradio_api/queue"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as http,
    ):
        yield http


async def event(http: httpx.AsyncClient, session: str, headers: dict[str, str]) -> str:
    """What the page shows at the end of the event."""
    body = {"data": [], "fn_index": 0, "session_hash": session}
    assert (await http.post("/join", json=body, headers=headers)).status_code == 200
    told = (await http.get("/data", params={"session_hash": session})).text
    messages = [json.loads(line.removeprefix("data: ")) for line in told.splitlines() if line.startswith("data: ")]
    *_, shown = (one["output"]["data"][0] for one in messages if one["msg"] == "process_generating")
    return str(shown)


async def test_each_person_calls_with_their_own_key_at_the_same_time(
    guarded: Api, keys: KeyStore, photo: Photo
) -> None:
    texts = {scope: keys.create(scope, scope)[1] for scope in SCOPES[:2]}
    photos = [photo(f"{colour}.png", colour) for colour in ("red", "green", "blue", "white", "black", "yellow")]
    given: dict[str, dict[str, str]] = {
        "write": {"Authorization": f"Bearer {texts['write']}"},
        "read": {"Authorization": f"Bearer {texts['read']}"},
        "nobody": {},
    }
    async with served(guarded, photos) as http:
        shown = await asyncio.gather(*(event(http, who, headers) for who, headers in given.items()))
    writer, reader, nobody = shown
    assert writer.count('<tr class="cr-stored">') == 6, writer
    assert reader.count("this takes a key of scope write") == 6, reader
    assert nobody.count("this server asks for an API key") == 6, nobody
