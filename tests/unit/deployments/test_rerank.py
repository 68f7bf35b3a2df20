"""`POST /v1/rerank` and the cascade in `/v1/search`, through the whole application with the fake reranker."""

from __future__ import annotations

import asyncio
import base64
import pickle
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deployments.batch_queue import BatchLimits
from deployments.cascade import Budget
from deployments.local import LocalReranker
from deployments.prepare_pool import PreparePool
from deployments.rerank import RerankReply, RerankTask, RerankWorker, StoredInput
from deployments.services import RerankDefaults
from encoders import EncoderInput, InputError, Prepared
from encoders.fake_reranker import FakeReranker
from encoders.reranking import Scores
from retrieval import FolderMedia, MediaStore, media_address
from tests.unit.deployments.conftest import Api, Picture, Start

NAMES = frozenset(("fake-reranker",))
ALWAYS = {"margin": None, "deadline_ms": 30_000}
NO_MEDIA = FolderMedia(Path("a folder that only the ingress sees"))


class Counting(FakeReranker):
    """Remembers how many pairs each forward call had."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.forwards: list[int] = []

    def forward(self, batch: Sequence[Prepared]) -> Scores:
        self.forwards.append(len(batch))
        return super().forward(batch)


class Broken(FakeReranker):
    """Fails at whatever it is asked."""

    def forward(self, batch: Sequence[Prepared]) -> Scores:
        raise RuntimeError("the model is broken")


@asynccontextmanager
async def worker(
    reranker: FakeReranker, media: MediaStore = NO_MEDIA, *, processes: bool = False, **limits: int
) -> AsyncIterator[RerankWorker]:
    pool = PreparePool(reranker.preparer, 1, processes=processes)
    one = RerankWorker(reranker, BatchLimits(**limits), pool=pool, media=media)
    yield one
    await one.close()


@asynccontextmanager
async def api_with(start: Start, reranker: FakeReranker | None = None, **parts: Any) -> AsyncIterator[Api]:
    """An API with a reranker and five texts, which the fake encoder and the fake reranker order differently."""
    async with (
        worker(reranker or FakeReranker(refuse="poison")) as one,
        start(reranker=LocalReranker(one, NAMES), **parts) as api,
    ):
        texts = ("red red red red", "red car", "a red car on the road", "blue sky", "green tree")
        for text in texts:
            await api.add(id=text.replace(" ", "-"), text=text)
        yield api


async def search(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.http.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


async def test_a_worker_batches_pairs_of_several_callers() -> None:
    reranker = Counting(work_s=0.05)
    async with worker(reranker, max_batch_size=4) as one:
        documents = (EncoderInput("red car"), EncoderInput("blue"))
        tasks = [RerankTask(EncoderInput(text), documents) for text in ("red", "blue", "red car", "car")]
        replies = await asyncio.gather(*(one.rerank(task) for task in tasks))
    assert [reply.scores for reply in replies] == [(1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 0.0)]
    assert sum(reranker.forwards) == 8
    assert max(reranker.forwards) > 2, "pairs of different callers share a batch"
    assert set(replies[0].stages_s) == {"rerank_prepare", "rerank_queue", "rerank"}
    assert pickle.loads(pickle.dumps(replies[0])) == replies[0]


async def test_a_pair_that_cannot_be_read_fails_alone() -> None:
    async with worker(FakeReranker(refuse="poison")) as one:
        documents = (EncoderInput("red"), EncoderInput("poison"), EncoderInput("red car"))
        reply = await one.rerank(RerankTask(EncoderInput("red"), documents))
    assert (reply.scores[0], reply.scores[2]) == (1.0, 1.0)
    assert isinstance(reply.scores[1], InputError)


async def test_pairs_are_prepared_in_processes_too() -> None:
    async with worker(FakeReranker(), processes=True) as one:
        reply = await one.rerank(RerankTask(EncoderInput("red car"), (EncoderInput("red"), EncoderInput("red car"))))
    assert reply.scores == (0.5, 1.0)


async def test_documents_come_back_best_first(start: Start, picture: Picture) -> None:
    image = base64.b64encode(picture("red")).decode()
    async with api_with(start) as api:
        documents: list[Any] = ["blue", "red car", {"text": "red"}, {"image": image}, {"id": "red-car"}]
        body = {"query": "red car", "documents": documents, "model": "fake-reranker"}
        answer = (await api.http.post("/v1/rerank", json=body)).json()
        best = (await api.http.post("/v1/rerank", json=body | {"top_n": 2, "return_documents": True})).json()
    scores = {row["index"]: row["relevance_score"] for row in answer["results"]}
    assert (scores[0], scores[1], scores[2], scores[4]) == (0.0, 1.0, 0.5, 1.0)
    assert 0.5 < scores[3] < 1.0
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert [row["index"] for row in best["results"]] == [1, 4]
    assert [row["document"] for row in best["results"]] == [{"text": "red car"}, {"id": "red-car"}]
    assert "document" not in answer["results"][0]
    assert answer["id"] != best["id"]
    assert answer["model"] == "fake-reranker"
    assert answer["meta"]["billed_units"] == {"search_units": 1}
    assert answer["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"documents": ["a"]}, 400, "query"),
        ({"query": "a"}, 400, "documents"),
        ({"query": "a", "documents": []}, 400, "documents"),
        ({"query": "a", "documents": "b"}, 400, "documents"),
        ({"query": "a", "documents": ["b", {}]}, 400, "documents[1]"),
        ({"query": "a", "documents": [{"id": "x", "text": "b"}]}, 400, "documents[0]"),
        ({"query": "a", "documents": ["b", {"id": "nobody"}]}, 404, "documents[1].id"),
        ({"query": "a", "documents": ["b", "poison"]}, 400, "documents[1]"),
        ({"query": "poison", "documents": ["b"]}, 400, "query"),
        ({"query": "a", "documents": [{"image": "bm9uZQ=="}]}, 400, "documents[0]"),
        ({"query": "a", "documents": [{"image": "http://x/y.png"}]}, 400, "documents[0].image"),
        ({"query": "a", "documents": ["b"], "model": "other"}, 400, "model"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, 400, "top_n"),
        ({"query": "a", "documents": ["b"], "top_k": 1}, 400, "top_k"),
    ],
)
async def test_what_is_wrong_is_named(start: Start, body: dict[str, Any], status: int, param: str) -> None:
    async with api_with(start) as api:
        answer = await api.http.post("/v1/rerank", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_without_a_reranker_both_ways_say_so(api: Api) -> None:
    answer = await api.http.post("/v1/rerank", json={"query": "a", "documents": ["b"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_reranker")
    answer = await api.http.post("/v1/search", json={"text": "a", "rerank": True})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_reranker")
    assert (await api.http.post("/v1/search", json={"text": "a", "rerank": False})).status_code == 200


async def test_a_search_is_reranked_when_asked(start: Start) -> None:
    async with api_with(start) as api:
        dense = await search(api, text="red car road", top_k=3)
        reranked = await search(api, text="red car road", top_k=3, rerank=ALWAYS)
    assert [stage["name"] for stage in dense["stages"]] == ["dense"]
    assert all(hit["rerank_score"] is None for hit in dense["hits"])
    assert [(stage["name"], stage["did"]) for stage in reranked["stages"]] == [
        ("dense", "searched"),
        ("rerank", "reranked"),
    ]
    scores = [hit["rerank_score"] for hit in reranked["hits"]]
    assert reranked["hits"][0]["id"] == "a-red-car-on-the-road"
    assert scores == sorted(scores, reverse=True)
    cosines = {hit["id"]: hit["score"] for hit in dense["hits"]}
    assert all(cosines.get(hit["id"], hit["score"]) == hit["score"] for hit in reranked["hits"])
    assert "rerank" in reranked["timings_ms"]


async def test_a_hit_from_beyond_top_k_can_come_first(start: Start) -> None:
    async with api_with(start) as api:
        dense = await search(api, text="red road", top_k=5)
        best = max(dense["hits"], key=lambda hit: len({"red", "road"} & set(hit["text"].split())))
        place = [hit["id"] for hit in dense["hits"]].index(best["id"])
        assert place > 0, "the dense order is another"
        deep = await search(api, text="red road", top_k=place, rerank=ALWAYS | {"depth": 5})
        shallow = await search(api, text="red road", top_k=5, rerank=ALWAYS | {"depth": place})
    assert deep["hits"][0]["id"] == best["id"]
    assert len(deep["hits"]) == place
    tail = [hit["id"] for hit in shallow["hits"][place:]]
    assert tail == [hit["id"] for hit in dense["hits"][place:]], "what is deeper keeps its place"
    assert all(hit["rerank_score"] is None for hit in shallow["hits"][place:])


async def test_a_clear_winner_is_not_reranked(start: Start) -> None:
    reranker = Counting()
    async with api_with(start, reranker) as api:
        answer = await search(api, text="red car", rerank={"margin": 0.01})
        close = await search(api, text="red car", rerank={"margin": 2, "deadline_ms": 30_000})
        reranks = api.reranks
    assert answer["stages"][1]["did"] == "skipped"
    assert answer["stages"][1]["reason"].startswith("clear: hits 1 and 5 are")
    assert close["stages"][1]["did"] == "reranked"
    assert sum(reranker.forwards) == 5
    assert reranks == ["clear", "reranked"]


async def test_after_the_deadline_the_dense_order_stands(start: Start) -> None:
    async with api_with(start, FakeReranker(work_s=1.0)) as api:
        dense = await search(api, text="red car road")
        late = await search(api, text="red car road", rerank={"deadline_ms": 20, "margin": None})
        reranks = api.reranks
    assert [hit["id"] for hit in late["hits"]] == [hit["id"] for hit in dense["hits"]]
    assert late["stages"][1]["did"] == "skipped"
    assert "no answer within 20 ms" in late["stages"][1]["reason"]
    assert reranks == ["late"]


async def test_a_broken_reranker_costs_nothing_but_its_stage(start: Start) -> None:
    async with api_with(start, Broken()) as api:
        dense = await search(api, text="red car")
        answer = await search(api, text="red car", rerank=ALWAYS)
        direct = await api.http.post("/v1/rerank", json={"query": "a", "documents": ["b"]})
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in dense["hits"]]
    assert answer["stages"][1]["did"] == "skipped"
    assert answer["stages"][1]["reason"] == "the reranker failed: see the server's log"
    assert direct.status_code == 500


async def test_a_lost_reranker_leaves_the_dense_order(start: Start) -> None:
    class Lost:
        names = NAMES

        async def rerank(self, task: RerankTask) -> RerankReply:
            raise ConnectionError("the node is gone")

    async with start(reranker=Lost()) as api:
        await api.add(id="a", text="red")
        await api.add(id="b", text="red car")
        answer = await search(api, text="red", rerank=ALWAYS)
    assert [hit["id"] for hit in answer["hits"]] == ["a", "b"]
    assert answer["stages"][1]["reason"] == "ConnectionError: see the server's log"


async def test_a_hit_that_cannot_be_read_goes_behind_the_others(start: Start) -> None:
    async with api_with(start) as api:
        await api.add(id="bad", text="red car poison")
        answer = await search(api, text="red car", top_k=6, rerank=ALWAYS)
    assert answer["hits"][-1]["id"] == "bad"
    assert answer["hits"][-1]["rerank_score"] is None
    assert answer["stages"][1]["did"] == "reranked"
    assert answer["stages"][1]["reason"].startswith("1 of 6 hits could not be read")


async def test_a_stored_item_asks_with_its_content_and_a_mix_does_not(start: Start) -> None:
    async with api_with(start) as api:
        stored = await search(api, id="red-car", rerank=ALWAYS)
        mixed = await search(api, mix=[{"text": "red"}, {"text": "car"}], rerank=ALWAYS)
    assert stored["hits"][0]["id"] == "a-red-car-on-the-road"
    assert stored["hits"][0]["rerank_score"] == 1.0
    assert mixed["stages"][1]["reason"] == "a mix has no single query to compare with"


async def test_settings_decide_where_the_request_does_not(start: Start) -> None:
    defaults = RerankDefaults(True, Budget(depth=2, deadline_ms=30_000, margin=None))
    async with api_with(start, rerank=defaults) as api:
        by_default = await search(api, text="red car")
        off = await search(api, text="red car", rerank=False)
        form = await api.http.post("/v1/search", files={"text": (None, "red"), "rerank": (None, '{"depth": 3}')})
    assert (by_default["stages"][1]["did"], by_default["stages"][1]["depth"]) == ("reranked", 2)
    assert len(off["stages"]) == 1
    assert form.json()["stages"][1]["depth"] == 3


@pytest.mark.parametrize("rerank", ["yes", 3, {"depth": -1}, {"depth": 1000}, {"deadline_ms": 0}, {"deep": 1}])
async def test_a_budget_that_is_none_is_refused(start: Start, rerank: Any) -> None:
    async with api_with(start) as api:
        answer = await api.http.post("/v1/search", json={"text": "a", "rerank": rerank})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("rerank")


class Listening(LocalReranker):
    """Remembers what was sent to the replica."""

    def __init__(self, worker: RerankWorker) -> None:
        super().__init__(worker, NAMES)
        self.tasks: list[RerankTask] = []

    async def rerank(self, task: RerankTask) -> RerankReply:
        self.tasks.append(task)
        return await super().rerank(task)

    def sent(self) -> list[set[type]]:
        """The kinds of documents of each call."""
        return [{type(document) for document in task.documents} for task in self.tasks]


@asynccontextmanager
async def api_of_pictures(start: Start, picture: Picture, seen: MediaStore) -> AsyncIterator[tuple[Api, Listening]]:
    """Four pictures, and a replica that sees this media store."""
    async with worker(FakeReranker(), seen) as one:
        port = Listening(one)
        async with start(reranker=port) as api:
            for colour in ("red", "orange", "blue", "green"):
                await api.add(id=colour, image=base64.b64encode(picture(colour)).decode())
            yield api, port


async def test_a_replica_that_sees_the_media_folder_is_sent_addresses(
    start: Start, picture: Picture, tmp_path: Path
) -> None:
    async with api_of_pictures(start, picture, FolderMedia(tmp_path / "media")) as (api, port):
        answer = await search(api, id="red", rerank=ALWAYS)
        body = {"query": "red", "documents": [{"id": "blue"}, {"id": "red"}]}
        direct = (await api.http.post("/v1/rerank", json=body)).json()
    assert port.sent() == [{StoredInput}, {StoredInput}]
    assert isinstance(port.tasks[0].query, StoredInput)
    assert len(pickle.dumps(port.tasks[0])) < 1000
    assert all(0 < hit["rerank_score"] < 1 for hit in answer["hits"])
    assert [row["index"] for row in direct["results"]] == [1, 0]


async def test_a_replica_that_does_not_is_sent_bytes_and_answers_the_same(
    start: Start, picture: Picture, tmp_path: Path
) -> None:
    async with api_of_pictures(start, picture, FolderMedia(tmp_path / "media")) as (api, _):
        by_address = await search(api, id="red", rerank=ALWAYS)
    async with api_of_pictures(start, picture, NO_MEDIA) as (api, port):
        first = await search(api, id="red", rerank=ALWAYS)
        second = await search(api, text="red", rerank=ALWAYS)
    scores = [[(hit["id"], hit["rerank_score"]) for hit in answer["hits"]] for answer in (first, by_address)]
    assert scores[0] == scores[1]
    assert port.sent() == [{StoredInput}, {EncoderInput}, {EncoderInput}], "it is asked once whether it sees them"
    assert second["stages"][1]["did"] == "reranked"


async def test_an_image_that_is_gone_says_nothing_about_the_replica(
    start: Start, picture: Picture, tmp_path: Path
) -> None:
    async with api_of_pictures(start, picture, FolderMedia(tmp_path / "media")) as (api, port):
        api.media.delete(media_address(picture("blue")))
        answer = await search(api, text="red", rerank=ALWAYS)
        await search(api, text="red", top_k=2, rerank=ALWAYS | {"depth": 2})
    assert answer["hits"][-1]["id"] == "blue"
    assert answer["stages"][1]["reason"].startswith("1 of 4 hits could not be read")
    assert port.sent() == [{StoredInput}, {EncoderInput}, {StoredInput}]
