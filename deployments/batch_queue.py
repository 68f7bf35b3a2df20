"""The queue in front of the device: work waits here, not in a formed batch.

`@serve.batch` closes a batch on its timer while the batch before still runs, and a closed batch can neither grow nor be
overtaken. So items wait here and are released only when the device is free: a batch is then as full as the load
allows, the interactive lane goes first, and a lone request waits for nobody. This module knows neither Ray nor models.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

from deployments.deadline import Deadline
from deployments.errors import Overloaded

Lane: TypeAlias = Literal["interactive", "bulk"]
LANES: tuple[Lane, ...] = get_args(Lane)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one batch and the whole queue may hold."""

    max_batch_size: int = 8
    """Items in a batch."""
    max_batch_cost: int = 1 << 30
    """Sum of the items' costs in a batch; a dearer item runs alone."""
    max_queued: int = 1024
    """Items waiting in a lane; more are refused as Overloaded."""
    bulk_patience_s: float = 5.0
    """A bulk item that waited this long gets into the next batch, so that a busy interactive lane cannot starve it."""


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    cost: int
    future: asyncio.Future[Released[R]]
    deadline: Deadline | None
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Released(Generic[R]):
    """A result and where its time went, in seconds."""

    result: R
    queued_s: float
    ran_s: float
    batch_size: int


class BatchQueue(Generic[T, R]):
    """Two lanes of waiting items and one device. `run` gets a batch and answers one result an item, in order."""

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        cost: Callable[[T], int],
        limits: BatchLimits,
        concurrency: int = 1,
        *,
        late: Callable[[], R] | None = None,
        on_queued: Callable[[Lane, int], None] = lambda lane, cost: None,
        on_ran: Callable[[int, int, float], None] = lambda items, cost, seconds: None,
    ) -> None:
        """`late` is the result of an item whose time ran out while it waited; without it nothing is dropped.
        `on_queued` hears the cost of what is submitted, `on_ran` items, cost and seconds of each batch."""
        self._late = late
        self._on_queued = on_queued
        self._on_ran = on_ran
        self._outstanding: dict[Lane, int] = {"interactive": 0, "bulk": 0}
        self._run = run
        self._cost = cost
        self._limits = limits
        self._lanes: dict[Lane, deque[_Waiting[T, R]]] = {"interactive": deque(), "bulk": deque()}
        self._free = asyncio.Semaphore(concurrency)
        self._arrived = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    def queued(self, lane: Lane) -> int:
        """Items of a lane that wait."""
        return len(self._lanes[lane])

    def outstanding(self) -> dict[Lane, int]:
        """Cost that waits or runs, by lane."""
        return dict(self._outstanding)

    async def submit(
        self, items: Sequence[T], lane: Lane, deadlines: Sequence[Deadline | None] | None = None
    ) -> list[Released[R]]:
        """Wait for the device and return one result an item, in order.

        Raises Overloaded when the lane is full; then nothing was queued. What `run` raises reaches every item of
        that batch. Cancelling drops what still waits.
        """
        waiting = self._lanes[lane]
        if waiting and len(waiting) + len(items) > self._limits.max_queued:
            raise Overloaded(f"the {lane} lane holds {len(waiting)} items already; try again shortly")
        loop = asyncio.get_running_loop()
        entries = [
            _Waiting[T, R](item, self._cost(item), loop.create_future(), deadline)
            for item, deadline in zip(items, deadlines or [None] * len(items), strict=True)
        ]
        waiting.extend(entries)
        self._account(lane, entries)
        self._arrived.set()
        if self._dispatcher is None:
            self._dispatcher = loop.create_task(self._dispatch())
        return list(await asyncio.gather(*(entry.future for entry in entries)))

    def _account(self, lane: Lane, entries: Sequence[_Waiting[T, R]]) -> None:
        """Counts the cost of the entries as long as nothing has become of them."""
        cost = sum(entry.cost for entry in entries)
        self._on_queued(lane, cost)
        self._outstanding[lane] += cost
        for entry in entries:

            def forget(_: asyncio.Future[Released[R]], cost: int = entry.cost) -> None:
                self._outstanding[lane] -= cost

            entry.future.add_done_callback(forget)

    async def close(self) -> None:
        """Stop dispatching; what waits is cancelled."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            await asyncio.gather(self._dispatcher, *self._running, return_exceptions=True)
            self._dispatcher = None
        for lane in self._lanes.values():
            while lane:
                lane.popleft().future.cancel()

    async def _dispatch(self) -> None:
        while True:
            await self._arrived.wait()
            await self._free.acquire()
            batch = self._form_batch()
            if not any(self._lanes.values()):
                self._arrived.clear()
            if not batch:
                self._free.release()
                continue
            task = asyncio.get_running_loop().create_task(self._run_batch(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _form_batch(self) -> list[_Waiting[T, R]]:
        """Interactive first, bulk in what room is left; but the oldest bulk item leads once its patience is over."""
        batch: list[_Waiting[T, R]] = []
        cost = 0
        bulk = self._lanes["bulk"]
        order: list[Lane] = ["interactive", "bulk"]
        while bulk and self._is_over(bulk[0]):
            bulk.popleft()
        if bulk and time.perf_counter() - bulk[0].since > self._limits.bulk_patience_s:
            batch.append(bulk.popleft())
            cost = batch[0].cost
        for lane in order:
            waiting = self._lanes[lane]
            while waiting and len(batch) < self._limits.max_batch_size:
                entry = waiting[0]
                if self._is_over(entry):
                    waiting.popleft()
                    continue
                if batch and cost + entry.cost > self._limits.max_batch_cost:
                    return batch
                waiting.popleft()
                batch.append(entry)
                cost += entry.cost
        return batch

    def _is_over(self, entry: _Waiting[T, R]) -> bool:
        """Whether it was cancelled, or its time ran out, while it waited."""
        deadline = entry.deadline
        if self._late is not None and deadline is not None and deadline.is_over() and not entry.future.done():
            entry.future.set_result(Released(self._late(), time.perf_counter() - entry.since, 0.0, 0))
        return entry.future.done()

    async def _run_batch(self, batch: list[_Waiting[T, R]]) -> None:
        started = time.perf_counter()
        try:
            results = await self._run([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"a batch of {len(batch)} items was answered with {len(results)} results")
        except Exception as error:
            for entry in batch:
                if not entry.future.done():
                    entry.future.set_exception(error)
            return
        except asyncio.CancelledError:
            for entry in batch:
                entry.future.cancel()
            raise
        finally:
            self._free.release()
        ran_s = time.perf_counter() - started
        self._on_ran(len(batch), sum(entry.cost for entry in batch), ran_s)
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                entry.future.set_result(Released(result, started - entry.since, ran_s, len(batch)))
