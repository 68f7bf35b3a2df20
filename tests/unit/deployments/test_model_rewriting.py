"""`rewrite: model`: the model's structure within the deadline, else the rules', and the answer says which and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from deployments import rewriting
from deployments.batch_queue import BatchLimits
from deployments.local import LocalStructurer
from deployments.rewriting import NO_STRUCTURER, QueryRewriter, RewriteDefaults
from deployments.structurer import StructurerWorker
from encoders.queries import MAX_QUERY_CHARS, Structured
from encoders.queries.fake import FakeStructurer
from encoders.queries.rewrite import CAPTION, PLAIN
from tests.unit.deployments.conftest import Api, Start

ASKED = "Could you show me pictures of a red lamp"
BY_MODEL = "red lamp"
"""What the fake structurer makes of it."""
BY_RULES = "a red lamp"


class CountingStructurer(FakeStructurer):
    """Remembers the batches that came, and breaks on a query that says so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.batches: list[list[str]] = []

    def structure(self, queries: Sequence[str]) -> list[Structured]:
        self.batches.append(list(queries))
        if any("break" in query for query in queries):
            raise RuntimeError("the model is broken")
        return super().structure(queries)

    @property
    def asked(self) -> list[str]:
        return [query for batch in self.batches for query in batch]


class Model:
    """A worker around a counting structurer, and rewriters over it."""

    def __init__(self, limits: BatchLimits | None = None, **options: Any) -> None:
        self.structurer = CountingStructurer(**options)
        self.worker = StructurerWorker(self.structurer, limits or BatchLimits())
        self.port = LocalStructurer(self.worker)
        self.did: list[str] = []

    def rewriter(self, deadline_ms: int = 10_000, prompt: Any = PLAIN) -> QueryRewriter:
        return QueryRewriter(prompt, RewriteDefaults("model", deadline_ms), self.port, on_done=self.did.append)

    async def __aenter__(self) -> Model:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.worker.close()


async def by(rewriter: QueryRewriter, query: str) -> tuple[str, str, str]:
    found = await rewriter.rewrite(query, "model")
    assert found is not None
    return found.by, found.text, found.reason


async def search(api: Api, **body: Any) -> Any:
    answer = await api.http.post("/v1/search", json={"text": ASKED, **body})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_model_rewrites_where_it_is_asked_or_the_setting_says_so(start: Start) -> None:
    async with Model() as model:
        async with start(structurer=model.port) as api:
            assert (await search(api)).json()["rewrite"] is None
            asked = await search(api, rewrite="model")
            assert asked.json()["rewritten_query"] == BY_MODEL
            assert asked.json()["rewrite"] == {
                "by": "model",
                "subject": BY_MODEL,
                "style": None,
                "language": "en",
                "reason": "",
            }
            assert "rewrite;dur=" in asked.headers["Server-Timing"]
            assert "rewrite" in asked.json()["timings_ms"]
        async with start(structurer=model.port, rewrite=RewriteDefaults("model")) as api:
            assert (await search(api)).json()["rewritten_query"] == BY_MODEL
            assert (await search(api, rewrite="template")).json()["rewritten_query"] == BY_RULES
            assert (await search(api, rewrite="off")).json()["rewritten_query"] is None
            assert api.rewrites == ["model"]


@pytest.mark.parametrize("body", [{"text": "x"}, {"mix": [{"text": "x"}]}], ids=["text", "mix"])
async def test_without_a_model_asking_for_one_is_refused(api: Api, body: Any) -> None:
    answer = await api.http.post("/v1/search", json={**body, "rewrite": "model"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["message"]) == ("rewrite", "no_structurer", NO_STRUCTURER)


async def test_the_models_structure_is_rendered_as_the_rules_is() -> None:
    async with Model() as model:
        assert await by(model.rewriter(prompt=CAPTION), ASKED) == ("model", "a photo of red lamp", "")
        assert await by(model.rewriter(prompt=CAPTION), "红色的 灯") == ("model", "红色的 灯的照片", "")


async def test_a_late_model_leaves_the_query_to_the_rules_and_is_heard_next_time() -> None:
    async with Model(work_s=0.2) as model:
        rewriter = model.rewriter(deadline_ms=20)
        way, text, reason = await by(rewriter, ASKED)
        assert (way, text) == ("template", BY_RULES)
        assert reason.startswith("no answer within 20 ms")
        async with asyncio.timeout(20):
            while (await by(rewriter, ASKED))[0] != "model":
                pass  # each call waits until its own deadline
        assert await by(rewriter, ASKED) == ("model", BY_MODEL, "")
        assert model.structurer.asked == [ASKED]
        assert model.did[0] == "late"
        assert model.did[-1] == "recalled"


async def test_a_query_without_a_structure_is_left_to_the_rules_and_not_asked_again() -> None:
    async with Model(refuse="lamp") as model:
        rewriter = model.rewriter()
        for _ in range(2):
            assert await by(rewriter, ASKED) == ("template", BY_RULES, "the model found no subject in the query")
        assert model.structurer.asked == [ASKED]
        assert model.did == ["unstructured", "recalled"]


async def test_a_broken_model_leaves_the_query_to_the_rules_and_its_neighbours_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Model() as model:
        rewriter = model.rewriter()
        broken, fine = await asyncio.gather(by(rewriter, "show me a break"), by(rewriter, ASKED))
        assert broken[:2] == ("template", "a break")
        assert broken[2] == "the query structurer failed: see the server's log"
        assert "the model is broken" in caplog.text
        assert fine == ("model", BY_MODEL, "")
        model.structurer.batches.clear()
        await by(rewriter, "show me a break")
        assert model.structurer.asked == ["show me a break"], "a failure is not remembered"
        assert "failed" in model.did


async def test_equal_queries_at_once_are_read_once() -> None:
    async with Model(work_s=0.05) as model:
        rewriter = model.rewriter()
        answers = await asyncio.gather(*(by(rewriter, ASKED) for _ in range(20)))
        assert set(answers) == {("model", BY_MODEL, "")}
        assert model.structurer.asked == [ASKED]


async def test_different_queries_share_batches_and_keep_their_own_answers() -> None:
    async with Model(BatchLimits(max_batch_size=4), work_s=0.02) as model:
        rewriter = model.rewriter()
        queries = [f"have you got number {n}" for n in range(9)]
        answers = await asyncio.gather(*(by(rewriter, query) for query in queries))
        assert answers == [("model", f"number {n}", "") for n in range(9)]
        assert max(len(batch) for batch in model.structurer.batches) == 4


async def test_one_who_leaves_does_not_take_the_answer_along() -> None:
    async with Model(work_s=0.1) as model:
        rewriter = model.rewriter()
        leaving, staying = (asyncio.create_task(by(rewriter, ASKED)) for _ in range(2))
        await asyncio.sleep(0.02)
        leaving.cancel()
        assert await staying == ("model", BY_MODEL, "")


async def test_too_much_at_once_is_left_to_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MAX_FLIGHTS", 2)
    async with Model(work_s=0.05) as model:
        rewriter = model.rewriter()
        answers = await asyncio.gather(*(by(rewriter, f"show me number {n}") for n in range(4)))
        assert [(way, reason) for way, _, reason in answers] == [("model", "")] * 2 + [
            ("template", "the model is busy")
        ] * 2
    async with Model(BatchLimits(max_batch_size=1, max_queued=1), work_s=0.05) as model:
        monkeypatch.undo()
        rewriter = model.rewriter()
        answers = await asyncio.gather(*(by(rewriter, f"show me number {n}") for n in range(6)))
        refused = [reason for way, _, reason in answers if way == "template"]
        assert refused
        assert all("try again shortly" in reason for reason in refused)


async def test_what_is_remembered_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewriting, "MAX_REMEMBERED", 2)
    async with Model() as model:
        rewriter = model.rewriter()
        for query in ("a a", "b b", "a a", "c c", "a a", "b b"):
            await by(rewriter, query)
        assert model.structurer.asked == ["a a", "b b", "c c", "b b"]


async def test_a_long_text_is_not_put_to_the_model() -> None:
    async with Model() as model:
        way, _, reason = await by(model.rewriter(), "red " * MAX_QUERY_CHARS)
        assert way == "template"
        assert str(MAX_QUERY_CHARS) in reason
        assert model.structurer.asked == []


async def test_an_error_that_nobody_foresaw_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        async def structure(self, query: str) -> Any:
            raise ConnectionError("10.0.0.7 refused")

    rewriter = QueryRewriter(PLAIN, RewriteDefaults("model"), Broken())
    assert await by(rewriter, ASKED) == ("template", BY_RULES, "ConnectionError: see the server's log")
    assert "10.0.0.7" in caplog.text
