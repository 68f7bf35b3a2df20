"""What the routes of `/v1/jobs` call."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from deployments.catalog.catalog import unknown_collection
from deployments.catalog.versions import DEFAULT
from deployments.jobs.doorbells import JobDoorbell
from deployments.jobs.intake import Intake, Intaker, Upload
from deployments.jobs.ledger import JobLedger
from deployments.jobs.spool import Spool
from deployments.jobs.tables import ItemState, Job, JobItem
from deployments.schemas.jobs import JobOptions, JobRequest

SHOWN_ERRORS = 10
RequireCollection = Callable[[str], Awaitable[object]]
"""Raises NotFound where there is no collection of this name."""


async def only_the_default(name: str) -> None:
    """Where there is no other."""
    if name != DEFAULT:
        raise unknown_collection(name)


class JobService:
    """Jobs for callers. All raise Unavailable where the database does not answer, and StorageFull."""

    def __init__(
        self,
        ledger: JobLedger,
        spool: Spool,
        intaker: Intaker,
        doorbell: JobDoorbell,
        require_collection: RequireCollection,
    ) -> None:
        self._ledger = ledger
        self._spool = spool
        self._intaker = intaker
        self._doorbell = doorbell
        self._require_collection = require_collection

    async def create(self, body: JobRequest) -> tuple[Job, bool]:
        """The job, on disk with all that was sent; and whether it is new. Raises BadRequest, Forbidden, NotFound for
        the collection, Conflict."""
        return await self._create(body, lambda: self._intaker.request(body))

    async def create_from_uploads(
        self, options: JobOptions, files: Sequence[Upload], archive: Upload | None
    ) -> tuple[Job, bool]:
        """As `create`. Raises TooLarge too."""
        return await self._create(options, lambda: self._intaker.uploads(options, files, archive))

    async def get(self, id: str) -> tuple[Job, list[JobItem]]:
        """A job, and the first of its items that failed or are dead. Raises NotFound."""
        job = await self._ledger.get(id)
        errors: list[JobItem] = []
        for state in ("failed", "dead"):
            if job.counts[state] and len(errors) < SHOWN_ERRORS:
                errors += await self._ledger.items(id, state, -1, SHOWN_ERRORS - len(errors))
        return job, sorted(errors, key=lambda item: item.position)

    async def page(self, before: str | None, limit: int) -> list[Job]:
        """The latest first, behind the job `before`. Raises NotFound."""
        return await self._ledger.page(before, limit)

    async def items(self, id: str, state: ItemState | None, after: int, limit: int) -> list[JobItem]:
        """Behind the position `after`. Raises NotFound."""
        return await self._ledger.items(id, state, after, limit)

    async def cancel(self, id: str) -> Job:
        """Raises NotFound."""
        return await self._ledger.cancel(id)

    async def replay(self, id: str) -> Job:
        """Raises NotFound."""
        job = await self._ledger.replay(id)
        self._doorbell.ring(job.counts["pending"])
        return job

    async def _create(self, options: JobOptions, take: Callable[[], Intake]) -> tuple[Job, bool]:
        id = options.id or new_id()
        await self._require_collection(options.collection)
        await self._ledger.require_answer()  # before anything is written to disk for it
        intake = await asyncio.to_thread(take)
        created = await self._ledger.create(id, intake.digest, intake.options, intake.items, intake.spool)
        if not created and intake.spool is not None:
            # Only here: after an error the rows may be there all the same, and the sweeper removes what none names.
            await asyncio.to_thread(self._spool.remove, intake.spool)
        job = await self._ledger.get(id)
        if created:
            self._doorbell.ring(job.counts["pending"])
        return job, created


def new_id() -> str:
    """Later ids sort behind earlier ones."""
    return f"job-{int(time.time() * 1000):011x}{secrets.token_hex(5)}"
