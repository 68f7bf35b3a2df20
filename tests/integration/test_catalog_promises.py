"""What an answer promises while versions are built, swapped and dropped: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from reindex_stack import Ingress, Stack

from deployments import all_versions
from deployments.all_versions import AllVersions
from deployments.catalog import view as views
from deployments.catalog.builds import Builds, touch
from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.versions import BuildOptions, Plan, Report
from deployments.errors import Conflict, Unavailable
from deployments.open_versions import OpenVersions
from encoders.fake import FakeEncoder
from retrieval import Filter
from retrieval.embedded.index import EmbeddedIndex
from retrieval.errors import IndexFault, IndexUnavailable

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments")  # importing ray.serve


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    one = Stack(tmp_path, dims=(32,))
    yield one
    await one.close()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The journal does not take entries until it is undone: as if the writer had been killed before it."""

    def fail(*_: Any) -> Any:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(views, "touch", fail)
    return monkeypatch


async def begin_build(stack: Stack) -> int:
    version = int((await stack.http.post("/v1/collections/default/reindex", json={})).json()["id"])
    await stack.ingress.view.refresh()
    return version


def journaled(stack: Stack, version: int) -> Sequence[str]:
    return [item for _, item in Builds(stack.catalog, "nobody").journal(version, 100)]


def swap(stack: Stack, version: int) -> None:
    builds = Builds(stack.catalog, "test")
    assert builds.claim() is not None
    assert builds.swap(version, stack.default().live.id, Report()) == "swapped"


async def test_a_repeated_write_that_finds_itself_done_is_journaled(stack: Stack, failing: pytest.MonkeyPatch) -> None:
    version = await begin_build(stack)
    item = {"id": "x", "text": "x"}
    assert (await stack.http.post("/v1/items", json=item)).status_code == 503
    assert (await stack.http.post("/v1/items", json=item)).status_code == 503
    assert (await stack.http.post("/v1/items/lookup", json={"ids": ["x"]})).status_code == 503
    failing.setattr(views, "touch", touch)
    assert (await stack.http.post("/v1/items", json=item)).status_code == 200
    assert journaled(stack, version) == ["x"]
    assert (await stack.http.post("/v1/items/lookup", json={"ids": ["x", "y"]})).is_success
    assert journaled(stack, version) == ["x", "x"]


async def test_a_repeated_delete_that_finds_nothing_is_journaled(stack: Stack, failing: pytest.MonkeyPatch) -> None:
    await stack.add(id="x", text="x")
    version = await begin_build(stack)
    assert [(await stack.http.delete("/v1/items/x")).status_code for _ in range(2)] == [503, 503]
    failing.setattr(views, "touch", touch)
    assert (await stack.http.delete("/v1/items/x")).status_code == 404
    assert journaled(stack, version) == ["x"]


async def test_what_a_retired_version_holds_is_not_called_unchanged(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.add(id="x", text="x")
    late = Ingress(stack)
    version = await begin_build(stack)
    await late.view.refresh()
    swap(stack, version)
    monkeypatch.setattr(late.view, "_read_at", time.monotonic() + 0.4)  # it does not look again by itself
    assert (await late.http.post("/v1/items", json={"id": "x", "text": "x"})).status_code == 201
    assert await stack.index(version).count() == 1
    await late.http.aclose()


async def test_a_delete_answers_when_no_writer_takes_the_collection_for_there(stack: Stack) -> None:
    late = Ingress(stack)
    assert (await stack.http.post("/v1/collections", json={"name": "few"})).status_code == 201
    item = {"text": "x", "collection": "few"}
    assert (await late.http.post("/v1/items", json=item)).status_code == 201  # and so it has a view with the collection
    deleting = asyncio.create_task(stack.http.delete("/v1/collections/few"))
    while "few" in stack.catalog.collections():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    again = await stack.http.post("/v1/collections", json={"name": "few"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "collection_exists")
    assert (await deleting).status_code == 200
    assert (await late.http.post("/v1/items", json=item)).status_code == 404
    assert (await stack.http.post("/v1/collections", json={"name": "few"})).status_code == 201
    await late.http.aclose()


async def test_the_default_follows_the_settings_only_while_nobody_writes(stack: Stack) -> None:
    live = stack.default().live
    plan = Plan("other", FakeEncoder(48).info.contract, "memory")
    announced = stack.catalog.begin_build("default", plan, BuildOptions(), idle_until=time.time() + 60).id
    assert Builds(stack.catalog, "test").claim() is None
    await stack.ingress.view.refresh()
    await stack.add(id="x", text="x")
    with pytest.raises(Conflict):
        stack.catalog.replace_empty("default", live.id, plan, announced=announced)
    assert stack.default().live.id == live.id
    assert journaled(stack, announced) == ["x"]
    stack.catalog.drop_version("default", announced)
    announced = stack.catalog.begin_build("default", plan, BuildOptions()).id
    replaced = stack.catalog.replace_empty("default", live.id, plan, announced=announced)
    assert [version.id for version in stack.default().versions] == [replaced.id]


async def test_a_database_that_hangs_keeps_no_search_waiting(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.add(id="x", text="x")
    answering, read = threading.Event(), stack.catalog.collections

    def hang() -> Any:
        answering.wait(60)
        return read()

    monkeypatch.setattr(stack.catalog, "collections", hang)
    monkeypatch.setattr(stack.ingress.view, "_read_at", -1e9)
    try:
        async with asyncio.timeout(20):
            assert (await stack.http.post("/v1/search", json={"text": "x"})).status_code == 200
        assert not answering.is_set()
    finally:
        answering.set()
    assert (await stack.http.post("/v1/items", json={"id": "y", "text": "y"})).status_code == 201


async def test_a_loose_file_is_looked_at_again_where_the_index_did_not_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    media, count, refused = stack.ingress.media, AllVersions.count, 0
    address = media.put(b"no item names it")

    async def refuse_once(self: AllVersions, filter: Filter | None = None) -> int:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise IndexUnavailable("it does not answer")
        return await count(self, filter)

    monkeypatch.setattr(AllVersions, "count", refuse_once)
    monkeypatch.setattr(all_versions, "LOOK_S", 0.05)
    loose = LooseFiles(stack.catalog.database)
    loose.add([address])
    (looked_at,) = loose.page()
    loose.add([address])  # while the first is looked at, and not lost by it
    loose.settle([looked_at[0]])
    assert [one for _, one in loose.page()] == [address]
    task = asyncio.create_task(all_versions.release_loose(loose, stack.ingress.files))
    async with asyncio.timeout(20):
        while loose.page():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    assert (media.exists(address), refused) == (False, 2)


async def test_what_another_replica_dropped_is_gone_and_is_not_made_anew(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = stack.catalog.create("few", stack.places.first_plan(FakeEncoder(32).info))
    assert await stack.index(version.id).count() == 0

    async def refuse(self: EmbeddedIndex, filter: Filter | None = None) -> int:
        raise IndexFault("there is no such collection")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedIndex, "count", refuse)
        with pytest.raises(IndexFault):
            await stack.index(version.id).count()
        stack.catalog.delete_collection("few")
        with pytest.raises(views.VersionGone):
            await stack.index(version.id).count()
    await stack.versions.drop(version)
    before, other = stack.folders(), OpenVersions(stack.catalog, stack.places)
    with pytest.raises(views.VersionGone):
        await other.ask(version.id, "count")
    assert stack.folders() == before
    await other.close()
