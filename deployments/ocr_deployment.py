"""The Ocr deployment: a worker for each collection, one thread that reads for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deployments.catalog.catalog import Catalog
from deployments.catalog.view import CatalogView
from deployments.database import Database
from deployments.errors import Unavailable
from deployments.live_index import LiveIndex
from deployments.logs import follow_serve
from deployments.ocr import OcrLimits, OcrWorker
from deployments.remote import RemoteIndex
from encoders.enhance import Enhancement
from encoders.images import ImageLimits
from encoders.ocr import RapidReader
from retrieval import MediaOptions, open_media

LOOK_S = 5.0
"""Between looks for collections that came or went."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """What the Ocr replica is told."""

    media: MediaOptions
    images: ImageLimits
    enhancement: Enhancement
    limits: OcrLimits
    threads: int
    min_score: float
    database_url: str
    """Of the catalog, whose collections are read."""


class OcrDeployment:
    """The Serve side of OcrWorkers. One replica: two would read the same pages."""

    async def __init__(self, options: OcrOptions, retriever: Any) -> None:  # type: ignore[misc]
        """`retriever` is a Serve DeploymentHandle."""
        from deployments.recorders import OcrMetrics

        follow_serve()
        os.nice(10)  # A search on the same cores goes first.
        self._options = options
        self._retriever = retriever
        self._on_page = OcrMetrics().page
        self._media = open_media(options.media)
        self._reader = await asyncio.to_thread(RapidReader, options.threads, options.min_score)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ocr")
        self._database = Database(options.database_url)
        self._view = CatalogView(await asyncio.to_thread(Catalog, self._database))
        self._workers: dict[str, tuple[OcrWorker, asyncio.Task[None]]] = {}
        self._following = asyncio.create_task(self._follow())

    async def ring(self, collection: str, ids: list[str]) -> None:
        """See `OcrWorker.ring`."""
        if collection in self._workers:
            self._workers[collection][0].ring(ids)

    async def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        for task in (self._following, *(task for _, task in self._workers.values())):
            if task.done() and not task.cancelled():
                raise RuntimeError(f"reading has stopped: {task.exception()!r}")

    async def _follow(self) -> None:
        """Until cancelled: a worker for each collection that there is. One that is new is swept when it starts."""
        while True:
            try:
                names = set(await self._view.collections())
            except Unavailable as error:
                log.warning("collections were not looked at: %s", error)
            else:
                for name in self._workers.keys() - names:
                    await _end(self._workers.pop(name)[1])
                for name in names - self._workers.keys():
                    worker = self._worker(name)
                    self._workers[name] = worker, asyncio.create_task(worker.run())
            await asyncio.sleep(LOOK_S)

    def _worker(self, collection: str) -> OcrWorker:
        return OcrWorker(
            LiveIndex(self._view, lambda version: RemoteIndex(self._retriever, version), collection),
            self._media,
            self._reader,
            images=self._options.images,
            enhancement=self._options.enhancement,
            limits=self._options.limits,
            on_page=self._on_page,
            thread=self._thread,
        )

    async def __del__(self) -> None:
        for task in (self._following, *(task for _, task in self._workers.values())):
            await _end(task)
        await asyncio.to_thread(self._thread.shutdown)
        self._database.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
