"""Text is read off images after they are stored: found after a kill, never at the cost of what else was written."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import deployments.ocr as module
from deployments.batch_queue import BatchLimits
from deployments.doorbell import RemoteDoorbell
from deployments.encoder import EncoderWorker
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.ocr import OcrLimits, OcrWorker
from deployments.ocr_retries import OcrRetries
from deployments.prepare_pool import PreparePool
from deployments.retriever import RetrieverWorker
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.enhance import Enhancement, Pixels
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from encoders.ocr import TextLine
from retrieval import Filter, MediaStore, Record, parse_filter
from retrieval.errors import IndexUnavailable
from retrieval.memory import MemoryIndex
from retrieval.validation import MAX_TEXT_CHARS

BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
WORDS = {(255, 0, 0): "Red Lion", (0, 128, 0): "绿茶", (255, 255, 255): ""}


class ColourReader:
    """Reads a plain image as the word of its colour; no word for white, and black breaks it."""

    def __init__(self) -> None:
        self.reads = 0
        self.while_reading: Callable[[], None] = lambda: None

    def read(self, image: Pixels) -> list[TextLine]:
        self.reads += 1
        self.while_reading()
        r, g, b = (int(v) for v in image[0, 0])
        text = WORDS[(r, g, b)]
        return [TextLine(text, 0.9, BOX)] if text else []

    def quarter_turns(self, image: Pixels, lines: Sequence[TextLine]) -> int:
        return 0


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "PNG")
    return out.getvalue()


class Stack:
    """Items, index, media and reader; workers come and go."""

    def __init__(self, folder: Path, index: MemoryIndex | None = None) -> None:
        self.encoder = FakeEncoder()
        self.memory = index or MemoryIndex(self.encoder.info.dim)
        self.index = LocalIndex(self.memory)
        self.media = MediaStore(folder)
        self.reader = ColourReader()
        self.rung: list[str] = []
        self.outcomes: list[str] = []
        self._encoding = EncoderWorker(self.encoder, BatchLimits(), pool=PreparePool(self.encoder.preparer, 1))
        encode = LocalEncoder(self._encoding)
        info, limits = self.encoder.info, ImageLimits()
        self.items = ItemService(encode, self.index, self.media, info, limits, on_unread=self.rung.append)

    async def add(self, id: str, colour: str | None = None, text: str | None = None, **more: Any) -> Record:
        image = None if colour is None else picture(colour)
        return (await self.items.add(Item(id=id, image=image, text=text, **more), Stages())).record

    async def ocr_text(self, id: str) -> str | None:
        record = await self.items.get(id)
        return record.payload.ocr_text

    def worker(self, **limits: Any) -> OcrWorker:
        return OcrWorker(
            self.index,
            self.media,
            self.reader,
            images=ImageLimits(),
            enhancement=Enhancement.off(),
            limits=OcrLimits(**limits),
            on_page=lambda outcome, _seconds: self.outcomes.append(outcome),
        )

    @asynccontextmanager
    async def running(self, **limits: Any) -> AsyncIterator[OcrWorker]:
        worker = self.worker(**limits)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            task.cancel()
            await asyncio.wait([task])
            worker.close()

    async def close(self) -> None:
        await self._encoding.close()


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path)
    yield stack
    await stack.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for another task; pytest's own time limit ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - the worker has nothing to signal with
        await asyncio.sleep(0.005)


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


async def test_a_page_that_fails_is_read_once_it_can_be(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.add("black", "black")

    def heal() -> None:
        if stack.reader.reads == 3:
            monkeypatch.setitem(WORDS, (0, 0, 0), "Night")

    stack.reader.while_reading = heal
    async with stack.running(retry_pause_s=0.01):
        await until(lambda: len(stack.outcomes) == 3)
    assert stack.outcomes == ["failed", "failed", "read"]
    assert await stack.ocr_text("black") == "Night"


async def test_a_page_that_keeps_failing_is_given_up_and_others_are_read(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    await stack.add("black", "black")
    async with stack.running(retry_pause_s=0.001, attempts=3, sweep_interval_s=0.05) as worker:
        await until(lambda: len(stack.outcomes) == 3)
        await stack.add("red", "red")
        worker.ring(["black", "red"])
        await until(lambda: len(stack.outcomes) == 4)
        await stack.add("green", "green")  # Found by a sweep, which passes the black one by.
        await until(lambda: len(stack.outcomes) == 5)
    assert stack.outcomes == ["failed"] * 3 + ["read", "read"]
    assert "given up until a restart" in caplog.text


async def test_an_item_that_is_gone_when_its_page_is_due_is_let_go(stack: Stack) -> None:
    await stack.add("black", "black")
    async with stack.running(retry_pause_s=0.05) as worker:
        await until(lambda: stack.outcomes == ["failed"])
        await stack.items.delete("black")
        await asyncio.sleep(0.1)
        await stack.add("red", "red")
        worker.ring(["red"])
        await until(lambda: stack.outcomes == ["failed", "read"])
    assert stack.reader.reads == 2


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


async def test_an_image_that_cannot_be_read_stops_nobody_and_is_not_tried_again_and_again(stack: Stack) -> None:
    await stack.add("black", "black")
    await stack.add("red", "red")
    lost = await stack.add("zlost", "white")
    assert lost.payload.media is not None
    stack.media.delete(lost.payload.media)
    worker = stack.worker()
    await worker.sweep()
    await worker.sweep()
    worker.close()
    assert stack.outcomes == ["failed", "read", "failed"]
    assert await stack.ocr_text("black") is None
    assert stack.reader.reads == 2


class WalkedIndex(MemoryIndex):
    """Counts the pages of walks."""

    walked = 0

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        self.walked += 1
        return await super().scan(after, limit)


async def test_nothing_is_walked_where_nothing_is_to_be_found(tmp_path: Path) -> None:
    index = WalkedIndex(FakeEncoder().info.dim)
    stack = Stack(tmp_path, index)
    await stack.add("black", "black")  # It fails, and waits from then on.
    for number in range(3):
        await stack.add(f"red-{number}", "red")
        await stack.add(f"words-{number}", text="words")
    worker = stack.worker()
    await worker.sweep()
    assert index.walked > 0
    index.walked = 0
    await worker.sweep()
    assert index.walked == 0
    await stack.items.delete("black")
    await stack.add("green", "green")
    await worker.sweep()
    assert index.walked > 0, "as many are pending as have failed, and yet one is new"
    worker.close()
    assert await stack.ocr_text("green") == "绿茶"
    assert stack.outcomes == ["failed", "read", "read", "read", "read"]
    await stack.close()


def test_pages_that_failed_come_up_in_turn_and_once_and_can_be_forgotten() -> None:
    retries = OcrRetries(attempts=3, first_pause_s=0.0)
    for id in ("a", "b", "c"):
        assert retries.failed((id, "image")) == 0.0
    retries.forget(("b", "image"))
    assert retries.take_due() == ["a", "c"]
    assert (retries.take_due(), retries.next_due()) == ([], math.inf)
    assert (retries.pages(), retries.waiting()) == ([("a", "image"), ("c", "image")], 0)
    retries.failed(("a", "image"))
    assert retries.failed(("a", "image")) is None
    assert (retries.take_due(), retries.waiting()) == ([], 1), "it was given up"


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

    async def remote(self, ids: list[str]) -> None:
        self.calls.append(ids)
        await asyncio.sleep(0)
        raise ConnectionError("the replica died")


async def test_a_lost_ring_does_not_show_and_rings_do_not_pile_up() -> None:
    handle = Handle()
    ring = RemoteDoorbell(handle, max_ringing=2)
    for id in ("a", "b", "c"):
        ring(id)
    await until(lambda: not ring._ringing)
    assert handle.calls == [["a"], ["b"]]
    ring("d")
    await until(lambda: not ring._ringing)
    assert handle.calls[-1] == ["d"]
