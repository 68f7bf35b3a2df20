"""What a process is told that has to do with jobs, and the parts that it makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deployments.fetching import Fetcher, FetchLimits
from deployments.items import ItemService
from deployments.jobs.database import JobDatabase
from deployments.jobs.doorbells import JobDoorbell
from deployments.jobs.folders import ServerFolders
from deployments.jobs.intake import Intaker, JobLimits
from deployments.jobs.leases import LeaseLimits, LeaseTable
from deployments.jobs.ledger import JobLedger
from deployments.jobs.service import JobService, RequireCollection, only_the_default
from deployments.jobs.sources import Fetch, SourceReader, fetch_nothing
from deployments.jobs.spool import Spool
from deployments.jobs.worker import JobWorker, WorkLimits
from deployments.resolving import LiveItems
from deployments.schemas.items import Item
from deployments.stages import Stages

TURN_S = 5.0
"""How long a worker leases further items in one turn: shorter than Serve waits for a replica that is to stop."""


@dataclass(frozen=True, slots=True)
class JobsOptions:
    """The same for the ingress and for every worker."""

    database_url: str = field(repr=False)
    spool_path: Path
    folders: tuple[Path, ...]
    limits: JobLimits
    leases: LeaseLimits
    work: WorkLimits
    max_workers: int
    broker_url: str | None = field(default=None, repr=False)
    """None to call workers directly."""
    fetch: FetchLimits | None = None
    """None for no URLs."""

    @property
    def worker_items(self) -> int:
        """Items that are worth another worker: a few rounds of what one has under way."""
        return 8 * self.work.concurrency


class Jobs:
    """The parts of one process."""

    def __init__(self, options: JobsOptions, fetch: Fetch | None = None) -> None:
        """`fetch` takes the place of the Fetcher."""
        self._options = options
        self._fetch = fetch or (fetch_nothing if options.fetch is None else Fetcher(options.fetch))
        self._database = JobDatabase(options.database_url)
        self.spool = Spool(options.spool_path)
        self.table = LeaseTable(self._database, options.leases)
        self._folders = ServerFolders(options.folders)

    def service(self, doorbell: JobDoorbell, require_collection: RequireCollection = only_the_default) -> JobService:
        intaker = Intaker(self.spool, self._folders, self._options.limits)
        return JobService(JobLedger(self._database), self.spool, intaker, doorbell, require_collection)

    def worker(self, items: ItemService | LiveItems, on_item: Callable[[str], None] = lambda state: None) -> JobWorker:
        """A worker that stores what it works on as an upload is stored."""
        reader = SourceReader(self.spool, self._folders, self._fetch, self._options.limits.archive.member_bytes)

        async def add(item: Item) -> str:
            return (await items.add(item, Stages())).record.id

        return JobWorker(self.table, reader, add, self._options.work, on_item=on_item)

    def close(self) -> None:
        self._database.close()
