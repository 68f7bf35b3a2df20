"""Looks over the table of jobs at the start and every few seconds: what a lost worker, a lost ring or a lost request
left is put right, and workers are told of what is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from deployments.errors import CrossrayError
from deployments.jobs.doorbells import JobDoorbell
from deployments.jobs.leases import LeaseTable
from deployments.jobs.spool import Spool
from deployments.jobs.tables import Swept
from retrieval.errors import StorageFull

SWEEP_INTERVAL_S = 10.0
log = logging.getLogger(__name__)


class JobSweeper:
    """Several may run: what one has put right, another finds right."""

    def __init__(
        self,
        table: LeaseTable,
        spool: Spool,
        doorbell: JobDoorbell,
        *,
        interval_s: float = SWEEP_INTERVAL_S,
        on_sweep: Callable[[Swept], None] = lambda swept: None,
    ) -> None:
        self._table = table
        self._spool = spool
        self._doorbell = doorbell
        self._interval_s = interval_s
        self._on_sweep = on_sweep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except (CrossrayError, StorageFull, OSError) as error:
                log.warning("the jobs were not swept: %s", error)
            except Exception:
                log.exception("the sweep of the jobs failed")
            await asyncio.sleep(self._interval_s)

    async def sweep(self) -> Swept:
        """Workers are told first: what is wrong with the spool must not keep them waiting."""
        swept = await self._table.sweep(await asyncio.to_thread(self._spooled))
        self._doorbell.ring(swept.due)
        self._on_sweep(swept)
        await asyncio.to_thread(self._tidy, swept)
        return swept

    def _spooled(self) -> list[str]:
        try:
            return self._spool.keys()
        except OSError as error:
            log.warning("the spool was not listed: %s", error)
            return []

    def _tidy(self, swept: Swept) -> None:
        for keys, remove in ((swept.released, self._spool.remove), (swept.unknown, self._spool.remove_abandoned)):
            for key in keys:
                try:
                    remove(key)
                except OSError as error:
                    log.warning("the spooled file %s was not removed: %s", key, error)
