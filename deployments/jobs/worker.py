"""Works on the items of jobs: leases some, stores each as an upload would be stored, and says how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from deployments.errors import INTERNAL, CrossrayError, code_of, status_of
from deployments.jobs.leases import LeaseTable
from deployments.jobs.sources import SourceReader
from deployments.jobs.tables import Lease, Outcome
from deployments.schemas.items import Item
from retrieval.errors import StorageFull

T = TypeVar("T")
Add = Callable[[Item], Awaitable[str]]
"""Stores an item, durably and idempotently, and returns its id."""

PASSING = frozenset({429, 500, 503, 504, 507})
"""Statuses of errors that another attempt may not meet."""
GATHER_S = 0.02
"""How long items of one encoder batch may take to be told of together: a transaction costs a flush."""
LONGEST_DATABASE_PAUSE_S = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """How many items are under way at once, how long one may take, and the pauses between its attempts: from
    `first_pause_s` doubling up to `longest_pause_s`, of which a random share between half and all is waited."""

    concurrency: int = 32
    item_timeout_s: float = 120.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0

    def pause_s(self, attempts: int) -> float:
        pause_s = min(self.first_pause_s * 2.0 ** min(attempts - 1, 32), self.longest_pause_s)
        return pause_s * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


class JobWorker:
    """One worker. Plain Python over the table, the sources and what stores an item."""

    def __init__(
        self,
        table: LeaseTable,
        sources: SourceReader,
        add: Add,
        limits: WorkLimits,
        *,
        on_item: Callable[[str], None] = lambda state: None,
    ) -> None:
        """`on_item` hears the state in which each attempt leaves its item."""
        self._table = table
        self._sources = sources
        self._add = add
        self._limits = limits
        self._on_item = on_item
        self._owner = uuid.uuid4().hex
        self._held: dict[asyncio.Task[Outcome], Lease] = {}
        self._turn = asyncio.Lock()

    async def work(self, for_s: float) -> float | None:
        """Works on what is due, leasing for up to `for_s` seconds. Seconds until something is due after that, at most 0
        where it is now; None where nothing is left.

        While the database does not answer, it waits for it. One turn at a time: a second call follows the first.
        """
        async with self._turn, self._renewing():
            try:
                await self._run(time.monotonic() + for_s)
            except asyncio.CancelledError:
                await asyncio.shield(self._give_back())
                raise
        return await self._patiently(self._table.next_due_s)

    async def _run(self, until: float) -> None:
        outcomes: list[Outcome] = []
        while True:
            want = self._limits.concurrency - len(self._held) if time.monotonic() < until else 0
            if outcomes or want:
                for lease in await self._exchange(outcomes, want):
                    self._held[asyncio.create_task(self._attempt(lease))] = lease
            if not self._held:
                return
            outcomes = await self._ended()

    async def _ended(self) -> list[Outcome]:
        """What ended next, and what ends with it."""
        done, running = await asyncio.wait(self._held, return_when=asyncio.FIRST_COMPLETED)
        if running:
            done |= (await asyncio.wait(running, timeout=GATHER_S))[0]
        for task in done:
            del self._held[task]
        return [task.result() for task in done]

    async def _exchange(self, outcomes: Sequence[Outcome], want: int) -> list[Lease]:
        leases = await self._patiently(lambda: self._table.exchange(self._owner, outcomes, want))
        for outcome in outcomes:
            self._on_item(outcome.state)
        return leases

    async def _attempt(self, lease: Lease) -> Outcome:
        try:
            async with asyncio.timeout(self._limits.item_timeout_s):
                return Outcome(lease, "done", await self._add(await self._sources.item(lease)))
        except Exception as error:
            return self._failed(lease, error)

    def _failed(self, lease: Lease, error: Exception) -> Outcome:
        row = status_of(error)
        code, message = code_of(error), str(error)
        if isinstance(error, TimeoutError):
            code, message = "deadline_exceeded", f"not done within {self._limits.item_timeout_s:g} s"
        elif row is INTERNAL:
            log.warning("item %d of job %s failed", lease.position, lease.job_id, exc_info=error)
            code, message = "internal_error", "internal error: see the server's log"
        if row.status not in PASSING:
            return Outcome(lease, "failed", error_code=code, error_message=message)
        if lease.attempts >= self._table.limits.attempts:
            return Outcome(lease, "dead", error_code=code, error_message=message)
        pause_s = self._limits.pause_s(lease.attempts)
        return Outcome(lease, "pending", error_code=code, error_message=message, pause_s=pause_s)

    async def _give_back(self) -> None:
        """Ends what is under way; another worker takes it up at once, and not when its lease has run out."""
        held, self._held = self._held, {}
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        with contextlib.suppress(CrossrayError, StorageFull):
            await self._table.exchange(self._owner, [Outcome(lease, "pending") for lease in held.values()], 0)

    @contextlib.asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            task.cancel()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._table.limits.lease_s / 3)
            with contextlib.suppress(CrossrayError, StorageFull):  # then the leases run out, and others may work on
                if self._held:
                    await self._table.renew(self._owner, list(self._held.values()))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Again with growing pauses while the database does not answer."""
        pause_s = 0.1
        while True:
            try:
                return await ask()
            except (CrossrayError, StorageFull) as error:
                log.warning("the job worker waits %.1f s: %s", pause_s, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_DATABASE_PAUSE_S)
