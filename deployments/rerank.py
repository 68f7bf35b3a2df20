"""The Reranker deployment: scores a query against documents, pairs of all callers batched on the device.

A `RerankTask` in, a `RerankReply` out. `RerankWorker` is plain Python; only `RerankDeployment` knows that Serve exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from deployments.batch_queue import BatchLimits, BatchQueue
from deployments.device import Device, OnBatch
from deployments.logs import follow_serve
from deployments.model_options import ModelOptions
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput, Prepared
from encoders.errors import EncoderError
from encoders.registry import load_reranker
from encoders.reranking import Reranker, RerankerInfo
from retrieval import MediaOptions, MediaStore, open_media


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A stored item as a query or a document: its text, and the address of its image in the media store."""

    text: str | None
    media: str | None


RerankInput: TypeAlias = EncoderInput | StoredInput


async def read_input(item: RerankInput, media: MediaStore) -> EncoderInput:
    """The input with its image's bytes; without an image where the media store has none at that address."""
    if isinstance(item, EncoderInput):
        return item
    image = None if item.media is None else await asyncio.to_thread(media.get, item.media)
    return EncoderInput(item.text, image)


@dataclass(frozen=True, slots=True)
class RerankTask:
    """One query and the documents to score against it. Without an instruction, the model's own."""

    query: RerankInput
    documents: tuple[RerankInput, ...]
    instruction: str | None = None


Scored: TypeAlias = float | EncoderError


@dataclass(frozen=True, slots=True)
class RerankReply:
    """`scores` has one relevance in 0…1, or the error that is this pair's alone, for each document, in order.

    Where `missing` has addresses that the replica could not read, nothing was scored.
    """

    scores: tuple[Scored, ...]
    info: RerankerInfo
    cost: int = 0
    """Sum of the scored pairs' costs: tokens, where the model has them."""
    stages_s: dict[str, float] = field(default_factory=dict)
    """Seconds of the slowest pair in `rerank_prepare`, `rerank_queue` and `rerank`."""
    missing: tuple[str, ...] = ()


class RerankWorker:
    """One replica's reranker with its queue, its preparing pool and its device thread."""

    def __init__(
        self,
        reranker: Reranker,
        limits: BatchLimits,
        *,
        pool: PreparePool,
        media: MediaStore,
        on_batch: OnBatch = lambda items, tokens, seconds: None,
    ) -> None:
        """`on_batch` hears of each batch that ran."""
        self.reranker = reranker
        self._pool = pool
        self._media = media
        self._device: Device[np.float32] = Device(reranker.forward, name="reranker", on_batch=on_batch)
        self.queue: BatchQueue[Prepared, np.float32 | EncoderError] = BatchQueue(
            self._device.run, lambda pair: pair.cost, limits
        )

    async def rerank(self, task: RerankTask) -> RerankReply:
        """A pair that cannot be read fails alone. Raises Overloaded. Cancelling drops the pairs that still wait."""
        inputs = (task.query, *task.documents)
        seen = await asyncio.gather(*(read_input(item, self._media) for item in inputs))
        if missing := tuple(_missing(inputs, seen)):
            return RerankReply((), self.reranker.info, missing=missing)
        query, query_spent = await self._pool.prepare_query(seen[0], task.instruction)
        if isinstance(query, EncoderError):
            return RerankReply((query,) * len(task.documents), self.reranker.info)
        prepared = await asyncio.gather(*(self._pool.prepare(query, document) for document in seen[1:]))
        pairs = [pair for pair, _ in prepared if isinstance(pair, Prepared)]
        released = await self.queue.submit(pairs, "interactive")
        ran = iter(released)
        scores: list[Scored] = []
        for pair, _ in prepared:
            result = pair if isinstance(pair, EncoderError) else next(ran).result
            scores.append(result if isinstance(result, EncoderError) else float(result))
        stages = {"rerank_prepare": query_spent.total_s + max((spent.total_s for _, spent in prepared), default=0.0)}
        if released:
            last = max(released, key=lambda item: item.queued_s + item.ran_s)
            stages |= {"rerank_queue": last.queued_s, "rerank": last.ran_s}
        return RerankReply(tuple(scores), self.reranker.info, sum(pair.cost for pair in pairs), stages)

    async def close(self) -> None:
        await self.queue.close()
        self._device.close()
        self._pool.close()
        self.reranker.close()


def _missing(inputs: Sequence[RerankInput], seen: Sequence[EncoderInput]) -> Iterator[str]:
    for item, read in zip(inputs, seen, strict=True):
        if isinstance(item, StoredInput) and item.media is not None and read.image is None:
            yield item.media


class RerankDeployment:
    """The Serve side of a RerankWorker. It may sleep: with no replica left, the first call starts one."""

    def __init__(self, options: ModelOptions, media: MediaOptions) -> None:
        from deployments.recorders import ModelMetrics

        follow_serve()
        reranker = load_reranker(options.name, **options.options)
        pool = PreparePool(reranker.preparer, options.prepare_workers, processes=options.prepare_in_processes)
        self._metrics = ModelMetrics("reranker", reranker.info.name)
        on_batch = self._metrics.batch
        self._worker = RerankWorker(reranker, options.limits, pool=pool, media=open_media(media), on_batch=on_batch)
        self._metrics.look(reranker, self._worker.queue)

    async def rerank(self, task: RerankTask) -> RerankReply:
        """See `RerankWorker.rerank`."""
        return await self._worker.rerank(task)

    async def check_health(self) -> None:
        """Serve asks every few seconds, which is when queue, memory and counts of the model are looked at."""
        self._metrics.look(self._worker.reranker, self._worker.queue)

    async def __del__(self) -> None:
        await self._worker.close()
