"""Collections over HTTP, in one process: versions, reindex beside live traffic, aborts, restarts, the canary."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from reindex_stack import Ingress, Stack

from deployments.catalog.builds import Builds
from deployments.catalog.versions import Report
from deployments.errors import Unavailable
from deployments.reindex.canary import CanaryLimits
from encoders.fake import FakeEncoder
from retrieval import Payload, Record, open_index

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments")  # importing ray.serve
DIMS = (32, 48)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    one = Stack(tmp_path)
    yield one
    await one.close()


def photo(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


async def fill(stack: Stack, count: int) -> list[str]:
    return [await stack.add(id=f"note-{number:03}", text=f"note number {number}") for number in range(count)]


async def test_what_a_data_folder_holds_already_is_version_one(tmp_path: Path) -> None:
    info = FakeEncoder(32).info
    folder = tmp_path / "embedded" / info.contract.fingerprint
    before = await open_index("embedded", dim=32, contract_json=info.contract.to_json(), path=folder)
    vector = [1.0] + [0.0] * 31
    await before.upsert([Record("old", __import__("numpy").asarray(vector, "float32"), Payload("text", text="old"))])
    await before.close()
    stack = Stack(tmp_path)
    shown = (await stack.http.get("/v1/collections/default")).json()
    assert [(v["id"], v["state"], v["count"]) for v in shown["versions"]] == [(1, "live", 1)]
    assert (await stack.http.get("/v1/items/old")).status_code == 200
    assert stack.folders() == [info.contract.fingerprint]
    await stack.close()


async def test_a_collection_is_apart_from_others_and_takes_its_files_with_it(stack: Stack) -> None:
    async with stack.maintained():
        made = await stack.http.post("/v1/collections", json={"name": "few", "encoder": "fake", "index_type": "flat"})
        assert made.status_code == 201, made.text
        files = {"image": ("a.png", photo("red"), "image/png")}
        for name, colour in (("few", "red"), ("few", "blue"), ("default", "red")):
            files = {"image": ("a.png", photo(colour), "image/png")}
            stored = await stack.http.post("/v1/items", data={"id": colour, "collection": name}, files=files)
            assert stored.status_code == 201, stored.text
        found = (await stack.http.post("/v1/search", json={"text": "red", "collection": "few"})).json()["hits"]
        assert {hit["id"] for hit in found} == {"red", "blue"}
        assert found[0]["image_url"] == "/v1/items/red/image?collection=few"
        assert (await stack.http.get(found[0]["image_url"])).content == photo("red")
        assert (await stack.http.get("/v1/items/blue")).status_code == 404
        assert len(stack.media_files()) == 2
        assert (await stack.http.delete("/v1/collections/few")).status_code == 200
        assert (await stack.http.post("/v1/search", json={"text": "red", "collection": "few"})).status_code == 404
        async with asyncio.timeout(30):
            while len(stack.media_files()) > 1 or len(stack.folders()) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert (await stack.http.get("/v1/items/red/image")).content == photo("red")


@pytest.mark.parametrize("name", ["", "Up", "../x", "a" * 64, "-a", "a b"])
async def test_a_name_that_could_be_a_path_is_refused(stack: Stack, name: str) -> None:
    answer = await stack.http.post("/v1/collections", json={"name": name})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name")


async def test_the_default_stays_and_names_are_told_of(stack: Stack) -> None:
    assert (await stack.http.delete("/v1/collections/default")).status_code == 400
    assert (await stack.http.get("/v1/collections/none")).json()["error"]["code"] == "collection_not_found"
    assert (await stack.http.post("/v1/search", json={"text": "a", "collection": "none"})).status_code == 404
    await stack.http.post("/v1/collections", json={"name": "twice"})
    again = await stack.http.post("/v1/collections", json={"name": "twice"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "collection_exists")
    wrong = await stack.http.post("/v1/collections/default/reindex", json={"index_type": "scann"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "index_type")


class Traffic:
    """Two ingresses of views of their own: searches all the time, uploads, overwrites and deletes."""

    def __init__(self, stack: Stack, ids: list[str]) -> None:
        self._stack = stack
        self._ingresses = [stack.ingress, Ingress(stack)]
        self.kept = set(ids)
        self.deleted: set[str] = set()
        self.faults: list[str] = []
        self.fingerprints: set[str] = set()
        self._is_running = True

    async def search(self, at: int) -> None:
        number = 0
        while self._is_running:
            number += 1
            text = f"note number {number % 40}"
            answer = await self._ingresses[at].http.post("/v1/search", json={"text": text, "top_k": 40})
            body = answer.json()
            if answer.status_code != 200:
                self.faults.append(answer.text)
            elif not any(hit["text"] == text and hit["score"] > 1 - 1e-3 for hit in body["hits"]):
                # The item that has the very words scores 1 in its own space, and hardly in another's.
                shown = [(hit["id"], hit["score"]) for hit in body["hits"]]
                self.faults.append(f"mixed: {text!r} in {body['fingerprint']}: {shown}")
            else:
                self.fingerprints.add(body["fingerprint"])
                if answer.headers["X-Crossray-Fingerprint"] != body["fingerprint"]:
                    self.faults.append("the header is of another space")
            await asyncio.sleep(0)

    async def write(self, at: int) -> None:
        http, number = self._ingresses[at].http, 0
        while self._is_running:
            number += 1
            id = f"new-{at}-{number:04}"
            stored = await http.post("/v1/items", json={"id": id, "text": f"something else {id}"})
            if stored.is_success:
                self.kept.add(id)
            else:
                self.faults.append(stored.text)
            if number % 5 == 0:
                gone = await http.delete(f"/v1/items/{id}")
                self.kept.discard(id)
                self.deleted.add(id)
                if not gone.is_success:
                    self.faults.append(gone.text)
            await asyncio.sleep(0.005)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work(at)) for at in (0, 1) for work in (self.search, self.write)]
        try:
            yield
        finally:
            self._is_running = False  # each ends with the answer to its last request
            await asyncio.gather(*tasks)
            await self._ingresses[1].http.aclose()


async def test_reindex_to_another_encoder_and_back_beside_all_traffic(stack: Stack) -> None:
    traffic = Traffic(stack, await fill(stack, 40))
    encoders = [FakeEncoder(dim).info.contract.fingerprint for dim in DIMS]
    async with stack.maintained(), traffic.running():
        second = await stack.ended(await stack.reindex(encoder=encoders[1]))
        assert (second.state, second.report.recall, second.report.failed) == ("live", 1.0, 0)
        await asyncio.sleep(1.5)  # both views see it, and what is written now is not in the first
        promoted = await stack.http.post("/v1/collections/default/versions/1/promote", json={})
        assert promoted.status_code == 202
        first = await stack.ended(1)
        assert first.state == "live", first
        await asyncio.sleep(1.5)  # both views see it, and searches go to what was brought over
    assert traffic.faults == []
    assert traffic.fingerprints == set(encoders)
    for version in (1, second.id):
        records = [record.id for record in await stack.index(version).scan("", 10_000)]
        if version == stack.default().live.id:
            assert set(records) == traffic.kept
            assert not traffic.deleted & set(records)


async def test_an_abort_half_way_leaves_the_live_one_and_nothing_else(stack: Stack) -> None:
    await fill(stack, 30)
    folders = stack.folders()
    version = await stack.reindex(encoder=FakeEncoder(48).info.contract.fingerprint)
    async with stack.maintained():
        async with asyncio.timeout(20):
            while (await stack.index(version).count()) == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await stack.add(id="meanwhile", text="meanwhile")
        assert (await stack.http.delete(f"/v1/collections/default/versions/{version}")).status_code == 200
        async with asyncio.timeout(30):
            while stack.catalog.version(version) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert stack.folders() == folders
    assert [v.id for v in stack.default().versions] == [1]
    left = stack.database.transact(lambda c: [c.exec_driver_sql("select count(*) from touched_items").scalar()])
    assert left == [0]
    assert (await stack.http.get("/v1/items?limit=1")).json()["count"] == 31


async def test_a_killed_builder_is_followed_by_another(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.catalog.builds.LEASE_S", 0.6)
    await fill(stack, 30)
    version = await stack.reindex(encoder=FakeEncoder(48).info.contract.fingerprint)
    dead = Builds(stack.catalog, "dead")
    assert (claimed := dead.claim()) is not None
    assert claimed.id == version
    await stack.add(id="while nobody builds".replace(" ", "-"), text="while nobody builds")
    await stack.http.delete("/v1/items/note-003")
    async with stack.maintained():
        assert (await stack.ended(version)).state == "live"
    with pytest.raises(Exception, match="ended"):
        dead.note(version, Report())
    ids = {record.id for record in await stack.index(version).scan("", 100)}
    assert "while-nobody-builds" in ids
    assert "note-003" not in ids


async def test_all_encoders_are_told_of_the_collection_s_first(stack: Stack) -> None:
    async def told() -> list[int]:
        return [model["dim"] for model in (await stack.http.get("/v1/models")).json()["data"]]

    assert await told() == [32, 48]
    async with stack.maintained():
        await stack.ended(await stack.reindex(encoder=FakeEncoder(48).info.contract.fingerprint))
    await stack.ingress.view.refresh()
    assert await told() == [48, 32]


async def test_two_builds_at_once_are_refused(stack: Stack) -> None:
    await stack.reindex(index_type="flat")
    second = await stack.http.post("/v1/collections/default/reindex", json={})
    assert (second.status_code, second.json()["error"]["code"]) == (409, "build_under_way")


async def test_a_version_that_fails_its_check_does_not_take_over(stack: Stack) -> None:
    await fill(stack, 5)
    files = {"image": ("a.png", photo("red"), "image/png")}
    await stack.http.post("/v1/items", data={"id": "red"}, files=files)
    for path in (stack.folder / "media").rglob("*"):
        if path.is_file():
            path.unlink()
    async with stack.maintained():
        refused = await stack.ended(await stack.reindex(encoder=FakeEncoder(48).info.contract.fingerprint))
        assert (refused.state, refused.report.phase, refused.report.failed) == ("ready", "refused", 1)
        assert "red" in refused.report.detail
        assert stack.default().live.id == 1
        path = f"/v1/collections/default/versions/{refused.id}/promote"
        assert (await stack.http.post(path, json={"max_failed": 1, "keep": False})).status_code == 202
        assert (await stack.ended(refused.id)).state == "live"
        async with asyncio.timeout(20):
            while stack.catalog.version(1) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_equal_contracts_reuse_vectors(stack: Stack) -> None:
    await stack.add(text="a", vector=[1.0] + [0.0] * 31, fingerprint=stack.default().live.fingerprint)
    async with stack.maintained():
        done = await stack.ended(await stack.reindex(index_type="flat"))
    assert (done.state, done.report.reused, done.options["type"]) == ("live", 1, "flat")
    (record,) = await stack.index(done.id).scan("", 10)
    assert record.vector[0] == 1.0


async def test_the_vectors_of_an_encoder_that_does_not_run_are_not_searched_by_another(tmp_path: Path) -> None:
    before = Stack(tmp_path, dims=(32,))
    await before.add(id="a", text="a note")
    await before.close()
    stack = Stack(tmp_path, dims=(48,))
    found = await stack.http.post("/v1/search", json={"text": "a note"})
    assert (found.status_code, "crossray reindex" in found.text) == (503, True)
    assert (await stack.http.post("/v1/search", json={"id": "a"})).status_code == 200
    assert (await stack.http.get("/health/ready")).status_code == 200
    async with stack.maintained():
        assert (await stack.ended(await stack.reindex())).state == "live"
    assert (await stack.http.post("/v1/search", json={"text": "a note"})).json()["hits"][0]["score"] == pytest.approx(1)
    await stack.close()


async def test_the_canary_tells_a_bad_index_from_a_good_one(tmp_path: Path) -> None:
    from retrieval.embedded.index import EmbeddedIndex

    stack = Stack(tmp_path, dims=(32,))
    limits = CanaryLimits(queries=12, rows_per_s=1e9)
    watch = stack.maintenance().canary
    assert limits.queries <= 16
    await fill(stack, 200)
    await stack.http.post("/v1/search", json={"text": "note number 7"})
    live = stack.default().live
    good = await watch.look(live)
    assert good is not None
    assert good.recall == 1.0
    search = EmbeddedIndex.search

    async def bad(self: EmbeddedIndex, queries: Any) -> Any:
        return [hits[::4] for hits in await search(self, queries)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedIndex, "search", bad)
        found = await watch.look(live)
    assert found is not None
    assert found.recall < 0.6
    shown = (await stack.http.get("/v1/collections/default")).json()["versions"][0]["canary"]
    assert shown["recall"] == found.recall
    await stack.close()


async def test_without_its_database_searches_go_on_and_writes_are_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(stack, 3)

    def gone(*_: Any) -> Any:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(stack.catalog, "collections", gone)
    monkeypatch.setattr(stack.ingress.view, "_read_at", -1e9)
    assert (await stack.http.post("/v1/search", json={"text": "note number 1"})).status_code == 200
    assert (await stack.http.post("/v1/items", json={"text": "x"})).status_code == 503
