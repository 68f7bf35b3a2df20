"""The Reranker deployment: scores a query against documents, pairs of all callers batched on the device.

A `RerankTask` in, a `RerankReply` out. `RerankWorker` is plain Python; only `RerankDeployment` knows that Serve exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from deployments.batch_queue import BatchLimits, BatchQueue
from deployments.device import Device
from deployments.model_options import ModelOptions
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput, Prepared
from encoders.errors import EncoderError
from encoders.registry import load_reranker
from encoders.reranking import Reranker, RerankerInfo


@dataclass(frozen=True, slots=True)
class RerankTask:
    """One query and the documents to score against it. Without an instruction, the model's own."""

    query: EncoderInput
    documents: tuple[EncoderInput, ...]
    instruction: str | None = None


Scored: TypeAlias = float | EncoderError


@dataclass(frozen=True, slots=True)
class RerankReply:
    """`scores` has one relevance in 0…1, or the error that is this pair's alone, for each document, in order."""

    scores: tuple[Scored, ...]
    info: RerankerInfo
    cost: int = 0
    """Sum of the scored pairs' costs: tokens, where the model has them."""
    stages_s: dict[str, float] = field(default_factory=dict)
    """Seconds of the slowest pair in `rerank_prepare`, `rerank_queue` and `rerank`."""


class RerankWorker:
    """One replica's reranker with its queue, its preparing pool and its device thread."""

    def __init__(
        self,
        reranker: Reranker,
        limits: BatchLimits,
        *,
        pool: PreparePool,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        """`on_batch` hears of each batch that ran: how many pairs, and the seconds."""
        self._reranker = reranker
        self._pool = pool
        self._device: Device[np.float32] = Device(reranker.forward, name="reranker", on_batch=on_batch)
        self._queue: BatchQueue[Prepared, np.float32 | EncoderError] = BatchQueue(
            self._device.run, lambda pair: pair.cost, limits
        )

    async def rerank(self, task: RerankTask) -> RerankReply:
        """A pair that cannot be read fails alone. Raises Overloaded. Cancelling drops the pairs that still wait."""
        prepared = await asyncio.gather(
            *(self._pool.prepare(task.query, document, task.instruction) for document in task.documents)
        )
        pairs = [pair for pair, _ in prepared if isinstance(pair, Prepared)]
        released = await self._queue.submit(pairs, "interactive")
        ran = iter(released)
        scores: list[Scored] = []
        for pair, _ in prepared:
            result = pair if isinstance(pair, EncoderError) else next(ran).result
            scores.append(result if isinstance(result, EncoderError) else float(result))
        stages = {"rerank_prepare": max((seconds for _, seconds in prepared), default=0.0)}
        if released:
            last = max(released, key=lambda item: item.queued_s + item.ran_s)
            stages |= {"rerank_queue": last.queued_s, "rerank": last.ran_s}
        return RerankReply(tuple(scores), self._reranker.info, sum(pair.cost for pair in pairs), stages)

    async def close(self) -> None:
        await self._queue.close()
        self._device.close()
        self._pool.close()
        self._reranker.close()


class RerankDeployment:
    """The Serve side of a RerankWorker. It may sleep: with no replica left, the first call starts one."""

    def __init__(self, options: ModelOptions) -> None:
        from deployments.metrics import Metrics

        reranker = load_reranker(options.name, **options.options)
        pool = PreparePool(reranker.preparer, options.prepare_workers, processes=options.prepare_in_processes)
        metrics = Metrics(encoder=reranker.info.name)
        self._worker = RerankWorker(reranker, options.limits, pool=pool, on_batch=metrics.rerank_batch)

    async def rerank(self, task: RerankTask) -> RerankReply:
        """See `RerankWorker.rerank`."""
        return await self._worker.rerank(task)

    async def __del__(self) -> None:
        await self._worker.close()
