"""The examples of the OpenAPI: there is one for every call that takes a body, and each works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deployments.examples import EXAMPLES
from deployments.local import LocalReranker
from encoders.fake_reranker import FakeReranker
from retrieval import MediaStore
from tests.unit.deployments.conftest import Api, Start
from tests.unit.deployments.test_rerank import NAMES, worker


@pytest.fixture
async def reranking(start: Start, tmp_path: Path) -> AsyncIterator[Api]:
    async with (
        worker(FakeReranker(), MediaStore(tmp_path / "media")) as one,
        start(reranker=LocalReranker(one, NAMES)) as api,
    ):
        await api.add(id="a-cat", text="a cat")
        yield api


async def bodies(api: Api) -> dict[str, dict[str, Any]]:
    """What each call with a body takes as JSON, by method and path."""
    paths = (await api.http.get("/openapi.json")).json()["paths"]
    return {
        f"{method.upper()} {path}": call["requestBody"]["content"]["application/json"]
        for path, calls in paths.items()
        for method, call in calls.items()
        if "requestBody" in call
    }


async def test_each_example_works(reranking: Api) -> None:
    sent = 0
    for call, body in (await bodies(reranking)).items():
        method, path = call.split()
        for name, example in body["examples"].items():
            answer = await reranking.http.request(method, path, json=example["value"])
            assert answer.is_success, f"{call}, {name}: {answer.text}"
            sent += 1
    assert sent == sum(len(of_a_model) for of_a_model in EXAMPLES.values())


async def test_every_call_with_a_body_has_one(reranking: Api) -> None:
    documented = await bodies(reranking)
    assert {"POST /v1/search", "POST /v1/items", "POST /v1/embeddings", "POST /v1/rerank"} < set(documented)
    assert [call for call, body in documented.items() if not body.get("examples")] == []


async def test_every_path_with_an_id_says_what_one_looks_like(reranking: Api) -> None:
    paths = (await reranking.http.get("/openapi.json")).json()["paths"]
    ids = [
        parameter
        for path, calls in paths.items()
        if "{id}" in path
        for call in calls.values()
        for parameter in call["parameters"]
        if parameter["name"] == "id"
    ]
    assert len(ids) >= 4
    assert all(parameter["schema"].get("examples") or parameter.get("examples") for parameter in ids)
