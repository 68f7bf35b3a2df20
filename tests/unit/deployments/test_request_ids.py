"""A request has one id, in its answer, its error and its log lines; what a caller sends as one is not trusted."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence

import httpx
import pytest

from deployments.api import HttpLimits
from deployments.encoder import EncodeTask
from deployments.gate import Gate
from encoders import EncoderInput
from tests.unit.deployments.conftest import Api, Start

WELL_FORMED = ["a", "7c0f-1", "Root=1-67891233-abcdef012345678912345678", "x" * 128, "2026-11-22T10:00:00+01:00@host/1"]
ILL_FORMED = [
    "",
    "x" * 129,
    "two words",
    'quote"',
    "back\\slash",
    "new\tline",
    "\x1b[31mred",
    "né",
    "a,b",
    "${jndi:ldap://x}",
    "<script>",
]


def own(answer: httpx.Response) -> str:
    [id] = answer.headers.get_list("x-request-id")
    return id


@pytest.mark.parametrize("id", WELL_FORMED)
async def test_a_well_formed_id_is_kept(api: Api, id: str) -> None:
    assert own(await api.http.get("/health/live", headers={"X-Request-ID": id})) == id


@pytest.mark.parametrize("id", ILL_FORMED, ids=ascii)
async def test_any_other_is_replaced(api: Api, id: str) -> None:
    answer = await api.http.get("/health/live", headers=[(b"x-request-id", id.encode("latin-1"))])
    assert uuid.UUID(own(answer)).version == 4


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/v1/search", {}, 400), ("/v1/search", {"Content-Length": "99999999"}, 413), ("/nowhere", {}, 404)],
)
async def test_an_error_says_it_in_its_body(api: Api, path: str, headers: dict[str, str], status: int) -> None:
    answer = await api.http.post(path, json={"text": 3}, headers={"X-Request-ID": "mine", **headers})
    assert answer.status_code == status
    assert answer.json()["request_id"] == own(answer) == "mine"


async def test_requests_at_once_keep_their_own(api: Api) -> None:
    answers = await asyncio.gather(
        *(api.http.post("/v1/search", json={"text": 3}, headers={"X-Request-ID": f"id-{n}"}) for n in range(20))
    )
    assert [answer.json()["request_id"] for answer in answers] == [f"id-{n}" for n in range(20)]


async def test_it_travels_with_what_is_encoded_for_it(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.encoder import EncoderWorker

    seen: list[str] = []
    encode = EncoderWorker.encode

    async def spying(self: EncoderWorker, tasks: Sequence[EncodeTask]) -> object:
        seen.extend(task.request_id for task in tasks)
        return await encode(self, tasks)

    monkeypatch.setattr(EncoderWorker, "encode", spying)
    await api.http.post("/v1/search", json={"text": "a"}, headers={"X-Request-ID": "mine"})
    assert seen == ["mine"]
    assert EncodeTask(EncoderInput("a"), "query").request_id == "", "outside of a request there is none"


async def test_an_answer_is_logged_with_its_status_and_stages(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "deployments.request_log")
    await api.http.post("/v1/search", json={"text": "a"})
    await api.http.get("/v1/items/" + "long" * 100)
    first, second = [record for record in caplog.records if record.name == "deployments.request_log"]
    assert (first.operation, first.status, first.levelname) == ("search", 200, "INFO")  # type: ignore[attr-defined]
    assert {"encode", "search", "total"} <= set(first.stages_ms)  # type: ignore[attr-defined]
    assert len(second.path) == 200, "what a caller chose is cut"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("slow_s", "level"), [(1e-9, "WARNING"), (60.0, "INFO")])
async def test_a_slow_answer_is_a_warning(
    start: Start, caplog: pytest.LogCaptureFixture, slow_s: float, level: str
) -> None:
    caplog.set_level(logging.INFO, "deployments.request_log")
    async with start(limits=HttpLimits(slow_s=slow_s)) as api:
        await api.http.get("/health/live")
    assert caplog.records[-1].levelname == level


async def test_what_is_echoed_in_front_is_not_said_twice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    app = api.http._transport.app  # type: ignore[attr-defined]
    while not isinstance(app, Gate):
        app = app._app
    monkeypatch.setattr(app, "_echoes_request_id", True)
    kept = await api.http.get("/health/live", headers={"X-Request-ID": "mine"})
    assert "x-request-id" not in kept.headers, "Serve adds it"
    assert own(await api.http.get("/health/live", headers={"X-Request-ID": "not mine"})) != "not mine"
