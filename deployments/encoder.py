"""The Encoder deployment: prepares inputs beside the device, batches them under load, and runs the model.

An `EncodeTask` in, an `EncodeOutcome` out; an input that cannot be embedded is an outcome of its own and never fails
its batch. `EncoderWorker` is plain Python; only `EncoderDeployment` knows that Serve exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from deployments.batch_queue import BatchLimits, BatchQueue, Lane, Released
from deployments.device import Device, oom_splits
from deployments.model_options import ModelOptions
from deployments.prepare_pool import PreparePool
from encoders import Encoder, EncoderInfo, EncoderInput, Modality, Prepared, Role, Vectors
from encoders.errors import EncoderError, InputError
from encoders.registry import load_encoder


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One input with its role, and the lane it travels in."""

    input: EncoderInput
    role: Role
    lane: Lane = "interactive"


@dataclass(frozen=True, slots=True, eq=False)
class EncodeOutcome:
    """What became of a task: a unit vector `(dim,)` float32, or the error that is this input's alone."""

    vector: Vectors | None
    error: EncoderError | None = None
    stages_s: dict[str, float] = field(default_factory=dict)
    """Seconds spent in `prepare`, `encode_queue` and `encode`, as far as it got."""

    def unwrap(self) -> Vectors:
        """The vector, or the error raised."""
        if self.error is not None:
            raise self.error
        assert self.vector is not None
        return self.vector


@dataclass(frozen=True, slots=True, eq=False)
class EncodeReply:
    """One outcome a task, in order, and which replica answered."""

    outcomes: list[EncodeOutcome]
    replica: str


_SPOKEN: dict[Modality, str] = {"text": "a text", "image": "an image", "image_text": "an image with a text"}

Encoded: TypeAlias = Vectors | EncoderError
RunBatch: TypeAlias = Callable[[Sequence[Prepared]], Awaitable[Sequence[Encoded]]]


class EncoderWorker:
    """One replica's encoder with its queue, its preparing pool and its device thread."""

    def __init__(
        self,
        encoder: Encoder,
        limits: BatchLimits,
        *,
        pool: PreparePool,
        replica: str = "local",
        through: Callable[[RunBatch], RunBatch] = lambda run: run,
        on_batch: Callable[[int, float], None] = lambda size, seconds: None,
    ) -> None:
        """`through` wraps the running of a batch (Serve puts `@serve.batch` there); `on_batch` hears of each."""
        self._encoder = encoder
        self._pool = pool
        self._device: Device[Vectors] = Device(encoder.forward, name="encoder", on_batch=on_batch)
        self._replica = replica
        self._queue: BatchQueue[Prepared, Encoded] = BatchQueue(through(self._device.run), lambda p: p.cost, limits)

    @property
    def info(self) -> EncoderInfo:
        return self._encoder.info

    async def encode(self, tasks: Sequence[EncodeTask]) -> EncodeReply:
        """Prepare all, encode what could be prepared, one outcome a task in order. Raises Overloaded."""
        prepared = await asyncio.gather(*(self._prepare(task) for task in tasks))
        outcomes: list[EncodeOutcome | None] = [None] * len(tasks)
        lanes: dict[Lane, list[int]] = {"interactive": [], "bulk": []}
        for row, (result, seconds) in enumerate(prepared):
            if isinstance(result, EncoderError):
                outcomes[row] = EncodeOutcome(None, result, {"prepare": seconds})
            else:
                lanes[tasks[row].lane].append(row)

        async def run(lane: Lane, rows: list[int]) -> None:
            released = await self._queue.submit(
                [p for row in rows if isinstance(p := prepared[row][0], Prepared)], lane
            )
            for row, item in zip(rows, released, strict=True):
                outcomes[row] = self._outcome(item, prepared[row][1])

        await asyncio.gather(*(run(lane, rows) for lane, rows in lanes.items() if rows))
        return EncodeReply([outcome for outcome in outcomes if outcome is not None], self._replica)

    async def close(self) -> None:
        await self._queue.close()
        self._device.close()
        self._pool.close()
        self._encoder.close()

    def queued(self) -> dict[Lane, int]:
        """Items that wait, by lane."""
        return {"interactive": self._queue.queued("interactive"), "bulk": self._queue.queued("bulk")}

    def oom_splits(self) -> int:
        """How often a batch did not fit the device and was halved; 0 for an encoder that does not halve."""
        return oom_splits(self._encoder)

    async def _prepare(self, task: EncodeTask) -> tuple[Prepared | EncoderError, float]:
        try:
            _require_modality(self.info, task.input)
        except InputError as error:
            return error, 0.0
        return await self._pool.prepare(task.input, task.role)

    @staticmethod
    def _outcome(item: Released[Encoded], prepare_s: float) -> EncodeOutcome:
        stages = {"prepare": prepare_s, "encode_queue": item.queued_s, "encode": item.ran_s}
        if isinstance(item.result, EncoderError):
            return EncodeOutcome(None, item.result, stages)
        return EncodeOutcome(item.result, None, stages)


def _require_modality(info: EncoderInfo, item: EncoderInput) -> None:
    """Raises InputError for what the encoder does not take, whether or not its preparer would."""
    modality = item.modality
    if modality not in info.modalities:
        taken = ", ".join(_SPOKEN[one] for one in sorted(info.modalities))
        param = "text" if modality == "text" else "image"
        raise InputError(
            f"{info.name} does not take {_SPOKEN[modality]}; it takes {taken}", "modality_not_taken", param
        )


class EncoderDeployment:
    """The Serve side of an EncoderWorker: loads the encoder, and lets formed batches run through `@serve.batch`."""

    def __init__(self, options: ModelOptions) -> None:
        from ray import serve

        from deployments.metrics import Metrics

        encoder = load_encoder(options.name, **options.options)
        self._metrics = Metrics(encoder=encoder.info.name)
        pool = PreparePool(encoder.preparer, options.prepare_workers, processes=options.prepare_in_processes)
        size = options.limits.max_batch_size

        def through_serve_batch(run: RunBatch) -> RunBatch:
            async def encode_batch(items: list[Prepared]) -> list[Encoded]:
                return list(await run(items))

            # Made per instance: a decorated method would share one queue among all encoders of a process. The queue
            # in front releases a whole batch at once, so the timer has nothing to wait for.
            batched = serve.batch(max_batch_size=size, batch_wait_timeout_s=0.0)(encode_batch)

            async def release(items: Sequence[Prepared]) -> Sequence[Encoded]:
                return list(await asyncio.gather(*(batched(item) for item in items)))

            return release

        self._worker = EncoderWorker(
            encoder,
            options.limits,
            pool=pool,
            replica=serve.get_replica_context().replica_id.unique_id,
            through=through_serve_batch,
            on_batch=self._metrics.encoder_batch,
        )

    async def info(self) -> EncoderInfo:
        """What runs here."""
        return self._worker.info

    async def encode(self, tasks: list[EncodeTask]) -> EncodeReply:
        """See `EncoderWorker.encode`."""
        reply = await self._worker.encode(tasks)
        for lane, count in self._worker.queued().items():
            self._metrics.encoder_queued(lane, count)
        self._metrics.encoder_oom_splits(self._worker.oom_splits())
        return reply

    async def __del__(self) -> None:
        await self._worker.close()
