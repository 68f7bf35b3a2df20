"""The QueryStructurer deployment: reads what queries ask for, the queries of all callers batched on the device.

A query in, its structure out. `StructurerWorker` is plain Python; only `StructurerDeployment` knows that Serve exists.
"""

from __future__ import annotations

from typing import TypeAlias

from deployments.batch_queue import BatchLimits, BatchQueue
from deployments.device import Device
from deployments.logs import follow_serve
from deployments.model_options import ModelOptions
from encoders import EncoderError, Prepared
from encoders.queries import QueryStructurer, StructuredQuery
from encoders.registry import load_structurer

Structure: TypeAlias = StructuredQuery | EncoderError
"""An Unstructured says that the query has none, any other error that the model failed on it."""


class StructurerWorker:
    """One replica's structurer with its queue and its device thread."""

    def __init__(self, structurer: QueryStructurer, limits: BatchLimits) -> None:
        self._structurer = structurer
        self._device: Device[Structure] = Device(
            lambda batch: structurer.structure([item.payload for item in batch]), name="query structurer"
        )
        self._queue: BatchQueue[Prepared, Structure] = BatchQueue(self._device.run, lambda item: item.cost, limits)

    async def structure(self, query: str) -> Structure:
        """Raises Overloaded. Errors of this query alone are returned: across a handle, raising logs a stack trace."""
        released = await self._queue.submit([Prepared(query, len(query), "text")], "interactive")
        return released[0].result

    async def close(self) -> None:
        await self._queue.close()
        self._device.close()
        self._structurer.close()


class StructurerDeployment:
    """The Serve side of a StructurerWorker. It may sleep: with no replica left, the first call starts one."""

    def __init__(self, options: ModelOptions) -> None:
        follow_serve()
        self._worker = StructurerWorker(load_structurer(options.name, **options.options), options.limits)

    async def structure(self, query: str) -> Structure:
        """See `StructurerWorker.structure`."""
        return await self._worker.structure(query)

    async def __del__(self) -> None:
        await self._worker.close()
