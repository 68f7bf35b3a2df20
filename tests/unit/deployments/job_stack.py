"""Jobs over a table in a file, the fake encoder and an index in memory: what the tests of jobs stand on."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.jobs.archives import ArchiveLimits
from deployments.jobs.intake import JobLimits
from deployments.jobs.leases import LeaseLimits
from deployments.jobs.options import Jobs, JobsOptions
from deployments.jobs.service import JobService
from deployments.jobs.sources import Fetch
from deployments.jobs.sweeper import JobSweeper
from deployments.jobs.tables import Job
from deployments.jobs.worker import JobWorker, WorkLimits
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.schemas.jobs import JobRequest
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia
from retrieval.memory import MemoryIndex


def picture(number: int) -> bytes:
    """An image file that differs from those of other numbers."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (number % 256, number // 256, 90)).save(out, "PNG")
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class CountingDoorbell:
    """Notes the rings, and wakes nobody."""

    def __init__(self) -> None:
        self.rings: list[int] = []

    def ring(self, due: int) -> None:
        self.rings.append(due)

    async def close(self) -> None: ...


def options(
    folder: Path,
    *,
    url: str | None = None,
    folders: Sequence[Path] = (),
    leases: LeaseLimits | None = None,
    work: WorkLimits | None = None,
    limits: JobLimits | None = None,
) -> JobsOptions:
    return JobsOptions(
        database_url=url or f"sqlite:///{folder}/state.sqlite3",
        spool_path=folder / "spool",
        folders=tuple(folders),
        limits=limits or JobLimits(items=1000, archive=ArchiveLimits(member_bytes=1 << 20), urls=True),
        leases=leases or LeaseLimits(),
        work=work or WorkLimits(first_pause_s=0.0, concurrency=8),
        max_workers=2,
    )


class JobStack:
    """One process with jobs, and workers that a test lets work when it likes."""

    def __init__(self, folder: Path, *, fetch: Fetch | None = None, **parts: Any) -> None:
        self.folder = folder
        self.options = options(folder, **parts)
        self.jobs = Jobs(self.options, fetch)
        self.doorbell = CountingDoorbell()
        self.service: JobService = self.jobs.service(self.doorbell)
        self.encoder = FakeEncoder(refuse="poison")
        self.memory = MemoryIndex(self.encoder.info.dim)
        self._encoding = EncoderWorker(self.encoder, BatchLimits(), pool=PreparePool(self.encoder.preparer, 1))
        self.media = FolderMedia(folder / "media")
        files = ItemFiles(self.media, LocalIndex(self.memory), ImageLimits(), sole_writer=True)
        self.items = ItemService(
            LocalEncoder(self._encoding), LocalIndex(self.memory), files, self.encoder.info, ImageLimits()
        )
        self.states: list[str] = []

    def worker(self) -> JobWorker:
        return self.jobs.worker(self.items, self.states.append)

    def sweeper(self) -> JobSweeper:
        return JobSweeper(self.jobs.table, self.jobs.spool, self.doorbell, interval_s=0.05)

    async def create(self, **body: Any) -> Job:
        return (await self.service.create(JobRequest(**body)))[0]

    async def work(self) -> None:
        """Until nothing is left that is due or will be."""
        worker = self.worker()
        while (left_s := await worker.work(5.0)) is not None:  # noqa: ASYNC110 - it says how long
            await asyncio.sleep(max(left_s, 0))

    async def get(self, id: str) -> Job:
        return (await self.service.get(id))[0]

    async def errors(self, id: str) -> dict[str, str | None]:
        """The codes of failed and dead items, by name."""
        return {item.name: item.error_code for item in (await self.service.get(id))[1]}

    def spooled(self) -> list[str]:
        return self.jobs.spool.keys()

    async def close(self) -> None:
        await self._encoding.close()
        self.jobs.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for another task; pytest's own time limit ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - the worker has nothing to signal with
        await asyncio.sleep(0.005)
