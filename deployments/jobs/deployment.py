"""The IngestWorker deployment: the Serve side of a JobWorker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from deployments.jobs.options import TURN_S, Jobs, JobsOptions
from deployments.jobs.worker import JobWorker
from deployments.live_writing import WritingOptions, open_live_items
from deployments.logs import follow_serve
from deployments.recorders import JobMetrics, RetryMetrics


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """What an IngestWorker replica is told."""

    jobs: JobsOptions
    writing: WritingOptions


class IngestDeployment:
    """One worker. It encodes on the bulk lane, and removes no media file: others write items too."""

    def __init__(self, options: IngestOptions, encoder: Any, retriever: Any, ocr: Any, *others: Any) -> None:
        """`encoder`, `retriever`, `ocr` where it is on, and `others` of encoders are Serve DeploymentHandles."""
        follow_serve()
        self._options = options
        self._encoders = (encoder, *others)
        self._retriever = retriever
        self._ocr = ocr
        self._jobs = Jobs(options.jobs)
        self._starting = asyncio.Lock()
        self._worker: JobWorker | None = None

    async def work(self) -> float | None:
        """One turn; see `JobWorker.work`."""
        async with self._starting:
            if self._worker is None:
                self._worker = await self._start()
        return await self._worker.work(TURN_S)

    async def _start(self) -> JobWorker:
        """Not in `__init__`, which a task consumer cannot await."""
        options = self._options
        retry = RetryMetrics().retry
        items = await open_live_items(options.writing, self._retriever, self._encoders, self._ocr, retry)
        return self._jobs.worker(items, JobMetrics().attempt)
