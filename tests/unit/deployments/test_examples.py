"""The examples of the OpenAPI: there is one of every call's body, which works, and one of every answer, which fits its
schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deployments.answer_examples import ANSWERS
from deployments.api import openapi
from deployments.examples import EXAMPLES
from deployments.local import LocalReranker
from encoders.fake_reranker import FakeReranker
from retrieval import FolderMedia
from tests.unit.deployments.conftest import Api, Start
from tests.unit.deployments.test_rerank import NAMES, worker


@pytest.fixture
async def reranking(start: Start, tmp_path: Path) -> AsyncIterator[Api]:
    async with (
        worker(FakeReranker(), FolderMedia(tmp_path / "media")) as one,
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


def calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """All of the API's, those of jobs and collections too."""
    for path, methods in openapi()["paths"].items():
        for method, call in methods.items():
            yield f"{method.upper()} {path}", call


def test_every_body_has_an_example() -> None:
    bodies = {name: call["requestBody"]["content"] for name, call in calls() if "requestBody" in call}
    assert len(bodies) >= 10
    assert [name for name, content in bodies.items() if not content["application/json"].get("examples")] == []


def test_every_part_of_a_path_has_an_example() -> None:
    parts = [(name, part) for name, call in calls() for part in call.get("parameters", []) if part["in"] == "path"]
    assert len(parts) >= 14
    assert [name for name, part in parts if not (part["schema"].get("examples") or part.get("examples"))] == []


def test_every_answer_has_an_example_that_is_one() -> None:
    """The example of a call's success, by the schema that the call gives for it."""
    spec = openapi()
    for name, call in calls():
        good = {status: answer for status, answer in call["responses"].items() if status != "default"}
        assert good, name
        for status, answer in good.items():
            for mime, content in answer["content"].items():
                if mime != "application/json":
                    continue
                assert "example" in content, f"deployments/answer_examples.py has none for {name} {status}"
                schema = content["schema"] | {"components": spec["components"]}
                jsonschema.validate(content["example"], schema, jsonschema.Draft202012Validator)
    assert {name for name, _ in calls()} >= set(ANSWERS), "an example is of no call"


async def test_answers_have_no_field_that_the_examples_lack(reranking: Api) -> None:
    """What the application answers and what the examples show, side by side."""
    for name, path, body in (
        ("POST /v1/search", "/v1/search", {"text": "a cat"}),
        ("POST /v1/embeddings", "/v1/embeddings", {"input": "a cat"}),
        ("POST /v1/rerank", "/v1/rerank", {"query": "a cat", "documents": ["a"]}),
        ("GET /v1/items/{id}", "/v1/items/a-cat", None),
        ("GET /v1/models", "/v1/models", None),
        ("GET /v1/status", "/v1/status", None),
        ("GET /health/ready", "/health/ready", None),
    ):
        method = name.partition(" ")[0]
        answer = (await reranking.http.request(method, path, json=body)).json()
        shown = ANSWERS[name][200]
        assert set(answer) <= set(shown), name
        for part in ("hits", "data", "results"):
            if part in answer:
                assert set(answer[part][0]) <= set(shown[part][0]), f"{name} {part}"
