"""The queue in front of the device: batches under load, lanes, errors, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from deployments.batch_queue import BatchLimits, BatchQueue
from deployments.errors import Overloaded


class Device:
    """Runs batches only when told, and remembers them."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._gate = asyncio.Semaphore(0)

    async def run(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        await self._gate.acquire()
        if "explode" in items:
            raise RuntimeError("device fault")
        return [item.upper() for item in items]

    def finish(self, batches: int = 1) -> None:
        for _ in range(batches):
            self._gate.release()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def queue_of(device: Device, **limits: float) -> BatchQueue[str, str]:
    return BatchQueue(device.run, cost=len, limits=BatchLimits(**limits))  # type: ignore[arg-type]


async def test_a_lone_item_runs_at_once_and_what_arrives_meanwhile_runs_together() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=4)
    first = asyncio.create_task(queue.submit(["a"], "interactive"))
    await settle()
    assert device.batches == [["a"]]
    rest = [asyncio.create_task(queue.submit([item], "interactive")) for item in "bcdef"]
    await settle()
    assert device.batches == [["a"]], "nothing is formed while the device is busy"
    device.finish(3)
    results = await asyncio.gather(first, *rest)
    assert device.batches == [["a"], ["b", "c", "d", "e"], ["f"]]
    assert [released[0].result for released in results] == list("ABCDEF")
    assert results[1][0].batch_size == 4
    await queue.close()


async def test_the_interactive_lane_overtakes_bulk_and_bulk_fills_what_is_left() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=3)
    tasks = [asyncio.create_task(queue.submit(["x"], "bulk"))]
    await settle()
    tasks.append(asyncio.create_task(queue.submit(["b1", "b2", "b3", "b4"], "bulk")))
    await settle()
    tasks.append(asyncio.create_task(queue.submit(["i1", "i2"], "interactive")))
    await settle()
    device.finish(3)
    await asyncio.gather(*tasks)
    assert device.batches == [["x"], ["i1", "i2", "b1"], ["b2", "b3", "b4"]]
    await queue.close()


async def test_bulk_that_waited_too_long_leads_the_next_batch() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=1, bulk_patience_s=0.0)
    tasks = [asyncio.create_task(queue.submit(["x"], "interactive"))]
    await settle()
    tasks.append(asyncio.create_task(queue.submit(["old"], "bulk")))
    tasks.append(asyncio.create_task(queue.submit(["i"], "interactive")))
    await asyncio.sleep(0.01)
    device.finish(3)
    await asyncio.gather(*tasks)
    assert device.batches == [["x"], ["old"], ["i"]]
    await queue.close()


async def test_batches_keep_to_the_cost_and_a_dear_item_runs_alone() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=8, max_batch_cost=4)
    device.finish(10)
    await queue.submit(["aa", "bb", "cc", "dddddd", "e"], "bulk")
    assert device.batches == [["aa", "bb"], ["cc"], ["dddddd"], ["e"]]
    await queue.close()


async def test_a_failed_batch_fails_its_own_items_only() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=1)
    device.finish(2)
    bad = asyncio.create_task(queue.submit(["explode"], "interactive"))
    good = asyncio.create_task(queue.submit(["fine"], "interactive"))
    with pytest.raises(RuntimeError, match="device fault"):
        await bad
    assert (await good)[0].result == "FINE"
    await queue.close()


async def test_what_was_cancelled_while_it_waited_never_runs() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=4)
    first = asyncio.create_task(queue.submit(["a"], "interactive"))
    await settle()
    doomed = asyncio.create_task(queue.submit(["gone"], "interactive"))
    last = asyncio.create_task(queue.submit(["b"], "interactive"))
    await settle()
    doomed.cancel()
    await settle()
    device.finish(2)
    await asyncio.gather(first, last)
    assert device.batches == [["a"], ["b"]]
    await queue.close()


async def test_a_full_lane_refuses_and_queues_nothing() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=1, max_queued=2)
    tasks = [asyncio.create_task(queue.submit(["run"], "bulk"))]
    await settle()
    tasks += [asyncio.create_task(queue.submit([item], "bulk")) for item in ("w1", "w2")]
    await settle()
    with pytest.raises(Overloaded, match="bulk lane"):
        await queue.submit(["w3"], "bulk")
    assert queue.queued("bulk") == 2
    device.finish(3)
    await asyncio.gather(*tasks)
    await queue.close()


async def test_closing_cancels_what_waits() -> None:
    device = Device()
    queue = queue_of(device, max_batch_size=1)
    running = asyncio.create_task(queue.submit(["a"], "interactive"))
    waiting = asyncio.create_task(queue.submit(["b"], "interactive"))
    await settle()
    closing = asyncio.create_task(queue.close())
    device.finish()
    await closing
    await running
    with pytest.raises(asyncio.CancelledError):
        await waiting
