"""Many concurrent calls into few: sizes, order, widths, errors."""

from __future__ import annotations

import asyncio

import pytest

from deployments.coalescer import Coalescer


class Callee:
    """Answers calls only when told, and remembers them."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self._gates: list[asyncio.Event] = []

    async def __call__(self, items: list[str]) -> list[str]:
        self.calls.append(items)
        gate = asyncio.Event()
        self._gates.append(gate)
        await gate.wait()
        if "explode" in items:
            raise RuntimeError("lost")
        return [item.upper() for item in items]

    async def answer(self, call: int) -> None:
        self._gates[call].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_idle_callee_is_called_at_once_and_a_busy_one_gets_what_gathered() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8)
    tasks = [asyncio.create_task(coalesce(item)) for item in "abcd"]
    await settle()
    assert callee.calls == [["a"]]
    await callee.answer(0)
    assert callee.calls == [["a"], ["b", "c", "d"]]
    await callee.answer(1)
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]


async def test_a_whole_batch_does_not_wait() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=2)
    tasks = [asyncio.create_task(coalesce(item)) for item in "abc"]
    await settle()
    assert callee.calls == [["a"], ["b", "c"]], "the second call is full, so it waits behind the device, not here"
    await callee.answer(1)
    await callee.answer(0)
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_whole_batches_wait_here_once_the_most_calls_are_under_way() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=2, most_calls=lambda: 2)
    many = asyncio.create_task(coalesce.many(list("abcdefg")))
    await settle()
    assert callee.calls == [["a", "b"], ["c", "d"]]
    await callee.answer(1)
    assert callee.calls[2:] == [["e", "f"]]
    await callee.answer(0)
    assert callee.calls[3:] == [], "what is left is no whole batch, so it waits for a free replica"
    await callee.answer(2)
    await callee.answer(3)
    assert await many == list("ABCDEFG")


async def test_work_is_shared_out_among_replicas() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8, width=lambda: 2)
    many = asyncio.create_task(coalesce.many(list("abcdef")))
    await settle()
    assert sorted(map(len, callee.calls)) == [3, 3]
    await callee.answer(0)
    await callee.answer(1)
    assert await many == list("ABCDEF")


async def test_calls_keep_to_their_bytes() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8, size_bytes=len, max_bytes=4)
    many = asyncio.create_task(coalesce.many(["aaa", "bbb", "cc", "dd"]))
    for call in range(3):
        await settle()
        await callee.answer(call)
    assert callee.calls == [["aaa"], ["bbb"], ["cc", "dd"]]
    assert await many == ["AAA", "BBB", "CC", "DD"]


async def test_a_failed_call_fails_its_items_and_the_next_goes_on() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8)
    bad = asyncio.create_task(coalesce("explode"))
    good = asyncio.create_task(coalesce("fine"))
    await settle()
    await callee.answer(0)
    with pytest.raises(RuntimeError, match="lost"):
        await bad
    await callee.answer(1)
    assert await good == "FINE"


async def test_what_was_cancelled_before_it_was_sent_is_not_sent() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8)
    first = asyncio.create_task(coalesce("a"))
    doomed = asyncio.create_task(coalesce("gone"))
    last = asyncio.create_task(coalesce("b"))
    await settle()
    doomed.cancel()
    await settle()
    await callee.answer(0)
    await callee.answer(1)
    assert callee.calls == [["a"], ["b"]]
    assert await asyncio.gather(first, last) == ["A", "B"]
