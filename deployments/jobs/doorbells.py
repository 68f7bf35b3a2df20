"""What wakes the workers. A ring may be lost or come twice: the sweeper rings again while work is left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from deployments.deadline import start_unhurried

WAITED_FOR_S = 10.0
"""Items that are due later are left to the sweeper."""
log = logging.getLogger(__name__)


class JobDoorbell(Protocol):
    """Rings, and never waits, fails or blocks."""

    def ring(self, due: int) -> None:
        """So many items may be worked on."""
        ...

    async def close(self) -> None:
        """Ends what is under way."""
        ...


class CallDoorbell:
    """Rings by calling a worker, without any broker: a call is one turn of work, which a Serve handle sends to a
    replica that has time. While there is work there are calls under way, up to `max_workers`: they are what Serve's
    autoscaling counts, from none to all."""

    def __init__(self, call: Callable[[], Awaitable[float | None]], *, max_workers: int, worker_items: int) -> None:
        """`call` is one turn of a worker (`JobWorker.work`); a worker is worth its start for each `worker_items`."""
        self._call = call
        self._max_workers = max_workers
        self._worker_items = worker_items
        self._turns: set[asyncio.Task[None]] = set()
        self._again = False

    def ring(self, due: int) -> None:
        wanted = min(self._max_workers, -(-due // self._worker_items))
        self._again = wanted > 0
        for _ in range(len(self._turns), wanted):
            task = start_unhurried(self._turn())
            self._turns.add(task)
            task.add_done_callback(self._turns.discard)

    async def close(self) -> None:
        """Ends the calls that are under way."""
        turns = list(self._turns)
        for task in turns:
            task.cancel()
        await asyncio.gather(*turns, return_exceptions=True)

    async def _turn(self) -> None:
        """Turns until none is left. A ring that came meanwhile may be of items that the last turn did not see."""
        try:
            left_s: float | None = 0.0
            while self._again or (left_s is not None and left_s <= WAITED_FOR_S):
                await asyncio.sleep(0 if self._again else max(left_s or 0.0, 0.0))
                self._again = False
                left_s = await self._call()
        except Exception as error:  # The rows are written: the sweeper rings again.
            log.warning("a ring for the job workers was lost: %s", error)


class BrokerDoorbell:
    """Rings through the broker; where that does not answer, as `fallback` does."""

    def __init__(
        self, send: Callable[[int], None], fallback: JobDoorbell, *, max_workers: int, worker_items: int
    ) -> None:
        """`send` puts so many messages on the queue (`broker.send_rings`)."""
        self._send = send
        self._fallback = fallback
        self._max_workers = max_workers
        self._worker_items = worker_items
        self._last_due = 0
        self._sending: asyncio.Task[None] | None = None

    def ring(self, due: int) -> None:
        """While an earlier ring is still under way, there is nothing to add to it but what the sweeper will. Where
        nothing got less since the last ring, it may be that nobody listens: then `fallback` rings too."""
        if 0 < self._last_due <= due:
            self._fallback.ring(due)
        self._last_due = due
        count = min(self._max_workers, -(-due // self._worker_items))
        if count and (self._sending is None or self._sending.done()):
            self._sending = asyncio.get_running_loop().create_task(self._ring(count, due))

    async def _ring(self, count: int, due: int) -> None:
        try:
            await asyncio.to_thread(self._send, count)
        except Exception as error:
            log.warning("the broker does not answer, workers are called directly: %s", error)
            self._fallback.ring(due)

    async def close(self) -> None:
        if self._sending is not None:
            await asyncio.wait([self._sending])
