"""Images that cannot be read, or not yet: tried again, given up, forgotten, and no reason to walk the index."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from deployments.ocr_retries import OcrRetries
from encoders.fake import FakeEncoder
from retrieval import Record
from retrieval.memory import MemoryIndex
from tests.unit.deployments.ocr_stack import WORDS, Stack, until


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
