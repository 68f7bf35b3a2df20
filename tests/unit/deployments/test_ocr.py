"""Text is read off images after they are stored: found after a kill, never at the cost of what else was written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deployments.ocr as module
from deployments.doorbell import RemoteDoorbell
from deployments.retriever import RetrieverWorker
from encoders.fake import FakeEncoder
from retrieval import Filter, Record, parse_filter
from retrieval.errors import IndexUnavailable
from retrieval.memory import MemoryIndex
from retrieval.validation import MAX_TEXT_CHARS
from tests.unit.deployments.ocr_stack import WORDS, Stack, until


async def test_an_item_is_there_before_its_text_and_only_its_text_is_added(stack: Stack) -> None:
    before = await stack.add("red", "red", tags=["pub"], metadata={"n": 1})
    assert before.payload.ocr_text is None
    assert stack.rung == ["red"]
    async with stack.running() as worker:
        worker.ring(["red"])
        await until(lambda: stack.outcomes == ["read"])
    after = await stack.items.get("red")
    assert after.payload == replace(before.payload, ocr_text="Red Lion")
    np.testing.assert_array_equal(after.vector, before.vector)


async def test_what_was_read_is_found_by_a_part_of_it_in_any_case(stack: Stack) -> None:
    for colour in ("red", "green", "white"):
        await stack.add(colour, colour)
    await stack.add("words", text="a red lion")
    worker = stack.worker()
    await worker.sweep()
    worker.close()
    assert sorted(stack.outcomes) == ["blank", "read", "read"]
    assert await stack.ocr_text("white") == ""
    assert await stack.ocr_text("words") is None
    found = {}
    for part in ("red l", "LION", "绿", "none of it"):
        condition = parse_filter({"field": "ocr_text", "op": "contains", "value": part})
        found[part] = await stack.memory.count(condition)
    assert found == {"red l": 1, "LION": 1, "绿": 1, "none of it": 0}


async def test_a_new_worker_finds_what_a_killed_one_left_and_reads_nothing_twice(stack: Stack) -> None:
    await stack.add("red", "red")
    async with stack.running():
        await until(lambda: stack.outcomes == ["read"])
    await stack.add("green", "green")  # Nobody hears its ring.
    async with stack.running():
        await until(lambda: stack.outcomes == ["read", "read"])
    assert await stack.ocr_text("green") == "绿茶"
    assert stack.reader.reads == 2


async def test_rings_that_find_no_room_are_made_up_for_by_a_sweep(stack: Stack) -> None:
    async with stack.running(max_queued=1) as worker:
        await asyncio.sleep(0)
        for number in range(6):
            await stack.add(f"red-{number}", "red")
        worker.ring(stack.rung)
        await until(lambda: len(stack.outcomes) == 6)
    assert {await stack.ocr_text(f"red-{n}") for n in range(6)} == {"Red Lion"}


async def test_metadata_written_while_the_image_is_read_stays(stack: Stack) -> None:
    await stack.add("red", "red", metadata={"n": 1})
    loop = asyncio.get_running_loop()

    def change() -> None:
        added = asyncio.run_coroutine_threadsafe(stack.add("red", "red", metadata={"n": 2}), loop)
        added.result(timeout=30)

    stack.reader.while_reading = change
    worker = stack.worker()
    await worker.sweep()
    worker.close()
    payload = (await stack.items.get("red")).payload
    assert (payload.ocr_text, payload.metadata) == ("Red Lion", {"n": 2})


async def test_metadata_written_later_keeps_the_text(stack: Stack) -> None:
    await stack.add("red", "red")
    worker = stack.worker()
    await worker.sweep()
    worker.close()
    stack.rung.clear()
    await stack.add("red", "red", metadata={"n": 2})
    payload = (await stack.items.get("red")).payload
    assert (payload.ocr_text, payload.metadata) == ("Red Lion", {"n": 2})
    assert stack.rung == []


async def test_the_text_of_an_image_that_was_replaced_meanwhile_is_dropped(stack: Stack) -> None:
    await stack.add("one", "red")
    loop = asyncio.get_running_loop()

    def change() -> None:
        stack.reader.while_reading = lambda: None
        asyncio.run_coroutine_threadsafe(stack.add("one", "green"), loop).result(timeout=30)

    stack.reader.while_reading = change
    async with stack.running() as worker:
        await until(lambda: stack.outcomes == ["dropped"])
        assert await stack.ocr_text("one") is None
        worker.ring([stack.rung[-1]])
        await until(lambda: stack.outcomes == ["dropped", "read"])
    assert await stack.ocr_text("one") == "绿茶"


async def test_an_item_that_was_deleted_meanwhile_does_not_come_back(stack: Stack) -> None:
    await stack.add("red", "red")
    loop = asyncio.get_running_loop()
    stack.reader.while_reading = lambda: asyncio.run_coroutine_threadsafe(stack.items.delete("red"), loop).result(30)
    worker = stack.worker()
    await worker.sweep()
    worker.close()
    assert stack.outcomes == ["dropped"]
    assert await stack.memory.count() == 0


async def test_a_text_longer_than_is_kept_is_cut_and_says_so(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(WORDS, (0, 0, 0), "x" * (MAX_TEXT_CHARS + 1))
    await stack.add("black", "black")
    worker = stack.worker()
    await worker.sweep()
    worker.close()
    assert stack.outcomes == ["cut"]
    assert await stack.ocr_text("black") == "x" * MAX_TEXT_CHARS
    assert f"has {MAX_TEXT_CHARS + 1} characters: {MAX_TEXT_CHARS} are kept" in caplog.text


class FlakyIndex(MemoryIndex):
    """Does not answer the first times."""

    failures = 0

    async def count(self, filter: Filter | None = None) -> int:
        if self.failures:
            self.failures -= 1
            raise IndexUnavailable("restarting")
        return await super().count(filter)


async def test_an_index_that_does_not_answer_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    index = FlakyIndex(FakeEncoder().info.dim)
    index.failures = 3
    stack = Stack(tmp_path, index)
    await stack.add("red", "red")
    async with stack.running():
        await until(lambda: stack.outcomes == ["read"])
    await stack.close()


class SlowIndex(MemoryIndex):
    """Lets others run between reading and writing, where a race would show."""

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        found = await super().get(ids)
        await asyncio.sleep(0.001)
        return found

    async def upsert(self, records: Sequence[Record]) -> None:
        await asyncio.sleep(0.001)
        await super().upsert(records)

    async def delete(self, ids: Sequence[str]) -> int:
        await asyncio.sleep(0.001)
        return await super().delete(ids)


@pytest.mark.parametrize("lead_s", [0.0, 0.0005, 0.0015])
@pytest.mark.parametrize("text_first", [True, False])
async def test_no_write_to_the_same_item_is_lost_to_the_text(stack: Stack, lead_s: float, text_first: bool) -> None:
    index = SlowIndex(stack.memory.dim)
    worker = RetrieverWorker(index)
    record = await stack.add("red", "red", metadata={"n": 1})
    assert record.payload.media is not None
    await worker.upsert([[record]])
    changed = replace(record, payload=replace(record.payload, metadata={"n": 2}))
    calls = [worker.set_ocr("red", record.payload.media, "Red Lion"), worker.upsert([[changed]])]

    async def later(call: Any) -> None:
        await asyncio.sleep(lead_s)
        await call

    first, second = calls if text_first else reversed(calls)
    await asyncio.gather(first, later(second))
    (stored,) = await index.get(["red"])
    assert stored is not None
    assert stored.payload.metadata == {"n": 2}


async def test_a_delete_is_not_undone_by_the_text(stack: Stack) -> None:
    index = SlowIndex(stack.memory.dim)
    worker = RetrieverWorker(index)
    record = await stack.add("red", "red")
    assert record.payload.media is not None
    await worker.upsert([[record]])
    await asyncio.gather(worker.set_ocr("red", record.payload.media, "Red Lion"), worker.delete(["red"]))
    assert await index.get(["red"]) == [None]


class Handle:
    """What a Serve handle looks like to the doorbell; every call is lost with its replica."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.ring = self

    async def remote(self, collection: str, ids: list[str]) -> None:
        self.calls.append([collection, *ids])
        await asyncio.sleep(0)
        raise ConnectionError("the replica died")


async def test_a_lost_ring_does_not_show_and_rings_do_not_pile_up() -> None:
    handle = Handle()
    ring = RemoteDoorbell(handle, max_ringing=2)
    for id in ("a", "b", "c"):
        ring("default", id)
    await until(lambda: not ring._ringing)
    assert handle.calls == [["default", "a"], ["default", "b"]]
    ring("other", "d")
    await until(lambda: not ring._ringing)
    assert handle.calls[-1] == ["other", "d"]
