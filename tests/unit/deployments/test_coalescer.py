"""Many concurrent calls into few: sizes, order, widths, errors."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from deployments.coalescer import Coalescer
from deployments.errors import Overloaded


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


async def one_after_the_other(coalesce: Coalescer[str, str], items: str) -> list[asyncio.Task[str]]:
    """Each offered when the one before was sent or waits."""
    tasks = []
    for item in items:
        tasks.append(asyncio.create_task(coalesce(item)))
        await settle()
    return tasks


async def test_an_idle_callee_is_called_at_once_and_a_busy_one_gets_what_gathered() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=8)
    tasks = await one_after_the_other(coalesce, "abcd")
    assert callee.calls == [["a"]]
    await callee.answer(0)
    assert callee.calls == [["a"], ["b", "c", "d"]]
    await callee.answer(1)
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]


async def test_what_is_asked_for_in_the_same_round_of_the_event_loop_travels_together() -> None:
    callee = Callee()
    encode, search = Coalescer(callee, max_items=8), Coalescer(callee, max_items=8)

    async def both(item: str) -> str:
        return await search(await encode(item))

    tasks = [asyncio.create_task(both(item)) for item in "abc"]
    await settle()
    assert callee.calls == [["a", "b", "c"]]
    await callee.answer(0)
    assert callee.calls[1:] == [["A", "B", "C"]], "who waited for one call asks the next one together"
    await callee.answer(1)
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_a_call_is_made_in_no_callers_context() -> None:
    """Serve cancels what was called in the context of a request whose client went away: others' items with it."""
    request = contextvars.ContextVar("request", default="nobody's")
    seen = []

    async def call(items: list[str]) -> list[str]:
        seen.append((items, request.get()))
        await asyncio.sleep(0)
        return items

    async def ask(item: str) -> str:
        request.set(item)
        return await coalesce(item)

    coalesce = Coalescer(call, max_items=2)
    await asyncio.gather(*(ask(item) for item in "abc"))
    assert seen == [(["a", "b"], "nobody's"), (["c"], "nobody's")]


async def test_a_whole_batch_does_not_wait() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=2)
    tasks = await one_after_the_other(coalesce, "abc")
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
    await settle()
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
    await settle()
    doomed = asyncio.create_task(coalesce("gone"))
    last = asyncio.create_task(coalesce("b"))
    await settle()
    doomed.cancel()
    await settle()
    await callee.answer(0)
    await callee.answer(1)
    assert callee.calls == [["a"], ["b"]]
    assert await asyncio.gather(first, last) == ["A", "B"]


async def test_beyond_what_may_be_held_back_is_refused_whole_and_a_single_large_call_is_not() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=2, most_calls=lambda: 1, most_held=3)
    alone = asyncio.create_task(coalesce.many(list("abcdefgh")))
    await settle()
    assert (callee.calls, coalesce.held()) == ([["a", "b"]], 6)
    with pytest.raises(Overloaded, match="6 inputs wait"):
        await coalesce("z")
    for call in range(4):
        await callee.answer(call)
    assert await alone == list("ABCDEFGH")


async def test_what_is_sent_at_once_is_not_held_back() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=2, most_calls=lambda: 1, most_held=3)
    tasks = [asyncio.create_task(coalesce(item)) for item in "abcde"]
    await settle()
    assert (callee.calls, coalesce.held()) == ([["a", "b"]], 3)
    await callee.answer(0)
    await callee.answer(1)
    await callee.answer(2)
    assert await asyncio.gather(*tasks) == list("ABCDE")


async def test_what_its_caller_left_takes_no_room() -> None:
    callee = Callee()
    coalesce = Coalescer(callee, max_items=1, most_calls=lambda: 1, most_held=2)
    first = asyncio.create_task(coalesce("a"))
    await settle()
    left = asyncio.create_task(coalesce.many(["b", "c"]))
    await settle()
    left.cancel()
    await settle()
    last = asyncio.create_task(coalesce.many(["d", "e"]))
    await settle()
    for call in range(3):
        await callee.answer(call)
    assert (await first, await last) == ("A", ["D", "E"])
    assert callee.calls == [["a"], ["d"], ["e"]]
