"""What runs, how it is documented, and how each answer says where its time went."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import pytest

from deployments.api import HttpLimits
from deployments.batch_queue import BatchLimits
from deployments.space import FINGERPRINT_HEADER
from encoders import Prepared, Vectors
from encoders.fake import FakeEncoder
from retrieval import Hit, Query
from retrieval.errors import IndexUnavailable, StorageFull
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import Api, Start


def timings(header: str) -> dict[str, float]:
    """The stages of a `Server-Timing` header, in milliseconds."""
    return {name: float(ms) for name, ms in re.findall(r"([a-z_]+);dur=([0-9.]+)", header)}


async def test_models_show_the_whole_contract(api: Api) -> None:
    (model,) = (await api.http.get("/v1/models")).json()["data"]
    info = api.encoder.info
    assert (model["id"], model["object"], model["dim"]) == ("fake", "model", info.dim)
    assert model["fingerprint"] == info.contract.fingerprint
    assert model["contract"]["model"] == "fake"
    assert model["modalities"] == ["image", "image_text", "text"]


async def test_live_and_ready(api: Api) -> None:
    assert (await api.http.get("/health/live")).json() == {"status": "ok"}
    answer = await api.http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert (answer.json()["encoder"], answer.json()["index"], answer.json()["count"]) == ("fake", "memory/flat", 0)
    assert sum(api.encoder.forwards) == 2, "a warm text and a warm image"  # type: ignore[attr-defined]


async def test_what_it_does_now(api: Api) -> None:
    for body in ({"text": "a"}, {"text": "b"}, {}):
        await api.http.post("/v1/search", json=body)
    await api.http.get("/nowhere")
    now = (await api.http.get("/v1/status")).json()
    assert (now["deployments"], now["queued"], now["cache"]) == ([], None, None), "one process, and no cache"
    search, nowhere = now["calls"]
    assert (search["operation"], search["errors"]) == ("search", 1)
    assert search["per_second"] == pytest.approx(3 / now["window_s"], rel=0.1)
    assert search["mean_ms"] > 0
    assert (nowhere["operation"], nowhere["errors"]) == ("unrouted", 1)


class DeadIndex(MemoryIndex):
    """An index whose store went away."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(64)
        self._fault = fault

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        raise self._fault

    async def get(self, ids: Sequence[str]) -> Any:
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "status", "retry"),
    [
        (IndexUnavailable("gone"), 503, "1"),
        (IndexUnavailable("gone", 2.4), 503, "3"),
        (StorageFull("full"), 507, None),
        (RuntimeError("secret"), 500, None),
    ],
)
async def test_a_part_that_fails_is_told(start: Start, fault: Exception, status: int, retry: str | None) -> None:
    async with start(index=DeadIndex(fault)) as api:
        ready = await api.http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
        answer = await api.http.post("/v1/search", json={"text": "a"})
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == retry
        assert answer.headers[FINGERPRINT_HEADER] == api.encoder.info.contract.fingerprint
        assert "secret" not in answer.text + ready.text
        assert len(api.errors) == 1


class BrokenEncoder(FakeEncoder):
    """A model with a bug that every input trips."""

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        raise RuntimeError("secret")


async def test_readiness_says_what_failed_and_not_why(start: Start) -> None:
    async with start(encoder=BrokenEncoder()) as api:
        ready = await api.http.get("/health/ready")
        assert (ready.status_code, ready.json()["detail"]) == (503, "the encoder failed: see the server's log")


async def test_every_answer_carries_fingerprint_and_times(api: Api) -> None:
    stored = await api.add(text="one")
    for method, path, body in [
        ("POST", "/v1/search", {"text": "a"}),
        ("POST", "/v1/items", {"text": "b"}),
        ("POST", "/v1/items", {"items": [{"text": "c"}]}),
        ("POST", "/v1/embeddings", {"input": ["d"]}),
        ("POST", "/v1/items/lookup", {"ids": ["e"]}),
        ("GET", f"/v1/items/{stored['id']}", None),
        ("GET", "/v1/items", None),
        ("GET", "/nowhere", None),
        ("GET", "/openapi.json", None),
    ]:
        answer = await api.http.request(method, path, json=body)
        assert answer.headers[FINGERPRINT_HEADER] == api.encoder.info.contract.fingerprint
        stages = timings(answer.headers["server-timing"])
        total = stages.pop("total")
        assert "other" not in stages
        assert sum(stages.values()) == pytest.approx(total, rel=0.02, abs=0.02), path


async def test_the_stages_of_a_search_are_named_and_repeated_in_the_body(api: Api) -> None:
    answer = await api.http.post("/v1/search", json={"text": "a"})
    stages = timings(answer.headers["server-timing"])
    assert list(stages) == [
        "auth",
        "read",
        "preprocess",
        "encode_queue",
        "encode",
        "encode_call",
        "search",
        "relevance",
        "render",
        "respond",
        "total",
    ]
    body = answer.json()["timings_ms"]
    assert sum(ms for name, ms in body.items() if name != "total") == pytest.approx(body["total"], rel=0.02, abs=0.02)
    assert {name: ms for name, ms in body.items() if name != "total"}.items() <= stages.items()
    operation, laps = api.done[-1]
    assert operation == "search"
    assert set(laps.laps_s()) == set(stages) - {"total"}


def references(node: Any) -> list[str]:
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    found = [node["$ref"]] if isinstance(node, dict) and isinstance(node.get("$ref"), str) else []
    return [*found, *(reference for value in values for reference in references(value))]


async def test_the_documentation_resolves(api: Api) -> None:
    spec = (await api.http.get("/openapi.json")).json()
    documented = {(method.upper(), path) for path, item in spec["paths"].items() for method in item}
    assert documented == {
        ("POST", "/v1/search"), ("POST", "/v1/items"), ("GET", "/v1/items"), ("POST", "/v1/items/lookup"),
        ("GET", "/v1/items/{id}"), ("DELETE", "/v1/items/{id}"), ("GET", "/v1/items/{id}/image"),
        ("GET", "/v1/items/{id}/thumbnail"), ("POST", "/v1/embeddings"), ("POST", "/v1/match"), ("GET", "/v1/models"),
        ("GET", "/v1/status"),
        ("GET", "/health/live"), ("GET", "/health/ready"), ("POST", "/v1/rerank"),
        ("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/{id}"), ("DELETE", "/v1/jobs/{id}"),
        ("GET", "/v1/jobs/{id}/items"), ("POST", "/v1/jobs/{id}/retry"),
    }  # fmt: skip
    found = references(spec)
    assert found
    for reference in found:
        node: Any = spec
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    for path in ("/v1/search", "/v1/items", "/v1/embeddings", "/v1/match", "/v1/items/lookup"):
        assert "application/json" in spec["paths"][path]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in spec["paths"]["/v1/items"]["post"]["requestBody"]["content"]
    assert (await api.http.get("/docs")).status_code == 200


async def test_a_full_queue_is_a_429_that_says_when_to_come_back(start: Start) -> None:
    slow = FakeEncoder(work_s=0.2)
    async with start(encoder=slow, batches=BatchLimits(max_batch_size=1, max_queued=1)) as api:
        answers = await asyncio.gather(*(api.http.post("/v1/search", json={"text": f"word {n}"}) for n in range(6)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in refused} == {429}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert {answer.json()["error"]["code"] for answer in refused} == {"overloaded"}
        assert len(refused) < 6
        assert (await api.http.post("/v1/search", json={"text": "later"})).status_code == 200


async def test_a_request_out_of_time_is_a_504(start: Start) -> None:
    async with start(encoder=FakeEncoder(work_s=0.5), limits=HttpLimits(request_timeout_s=0.1)) as api:
        answer = await api.http.post("/v1/search", json={"text": "slow"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        assert api.errors == [("search", "deadline_exceeded")]
