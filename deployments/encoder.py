"""The Encoder deployment: prepares inputs beside the device, batches them under load, and runs the model.

An `EncodeTask` in, an `EncodeOutcome` out; an input that cannot be embedded is an outcome of its own and never fails
its batch. `EncoderWorker` is plain Python; only `EncoderDeployment` knows that Serve exists.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from deployments import request_ids
from deployments.batch_queue import BatchLimits, BatchQueue, Lane, Released
from deployments.deadline import Deadline, too_late
from deployments.device import Device, OnBatch
from deployments.errors import DeadlineExceeded, EncoderFault
from deployments.load_meter import Held, LoadMeter
from deployments.logs import follow_serve, log_call
from deployments.model_options import ModelOptions
from deployments.prepare_pool import PreparePool
from deployments.prepare_process import Spent
from encoders import Encoder, EncoderInfo, EncoderInput, Modality, Prepared, Role, Vectors
from encoders.errors import EncoderError, InputError
from encoders.registry import load_encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One input with its role, and the lane it travels in."""

    input: EncoderInput
    role: Role
    lane: Lane = "interactive"
    deadline: Deadline | None = None
    """After it nobody waits for the vector."""
    request_id: str = field(default_factory=request_ids.current)
    """Of the request that it is done for; for the log."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodeOutcome:
    """What became of a task: a unit vector `(dim,)` float32, or the error that is this input's alone."""

    vector: Vectors | None
    error: EncoderError | None = None
    stages_s: dict[str, float] = field(default_factory=dict)
    """Seconds spent in `decode`, `preprocess`, `encode_queue` and `encode`, as far as it got."""
    is_dropped: bool = False
    """Nothing became of it: its time ran out before it was encoded."""

    def unwrap(self) -> Vectors:
        """The vector, or the error raised; DeadlineExceeded for what was dropped."""
        if self.is_dropped:
            raise too_late("it was encoded")
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

Encoded: TypeAlias = Vectors | EncoderError | DeadlineExceeded
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
        on_batch: OnBatch = lambda items, tokens, seconds: None,
        on_wait: Callable[[Lane, float], None] = lambda lane, seconds: None,
    ) -> None:
        """`through` wraps the running of a batch (Serve puts `@serve.batch` there); `on_batch` hears of each;
        `on_wait` of the longest wait in each lane of a call, in seconds."""
        self.encoder = encoder
        self._pool = pool
        self._device: Device[Vectors] = Device(encoder.forward, name="encoder", on_batch=on_batch)
        self._replica = replica
        self._on_wait = on_wait
        self.meter = LoadMeter(limits)
        self.queue: BatchQueue[Prepared, Encoded] = BatchQueue(
            through(self._device.run),
            lambda p: p.cost,
            limits,
            late=lambda: too_late("it was encoded"),
            on_queued=self.meter.arrived,
            on_ran=self.meter.ran,
        )

    @property
    def info(self) -> EncoderInfo:
        return self.encoder.info

    async def encode(self, tasks: Sequence[EncodeTask], held: Held | None = None) -> EncodeReply:
        """Prepare all, encode what could be prepared, one outcome a task in order. Raises Overloaded.

        `held` is what the caller holds back meanwhile.
        """
        self.meter.called(len(tasks), held)
        prepared = await asyncio.gather(*(self._prepare(task) for task in tasks))
        outcomes: list[EncodeOutcome | None] = [None] * len(tasks)
        lanes: dict[Lane, list[int]] = {"interactive": [], "bulk": []}
        for row, (result, spent) in enumerate(prepared):
            if result is None:
                outcomes[row] = EncodeOutcome(None, is_dropped=True)
            elif isinstance(result, EncoderError):
                outcomes[row] = EncodeOutcome(None, result, spent.stages_s())
            else:
                lanes[tasks[row].lane].append(row)

        async def run(lane: Lane, rows: list[int]) -> None:
            inputs = [p for row in rows if isinstance(p := prepared[row][0], Prepared)]
            released = await self.queue.submit(inputs, lane, [tasks[row].deadline for row in rows])
            self._on_wait(lane, max(item.queued_s for item in released))
            for row, item in zip(rows, released, strict=True):
                outcomes[row] = self._outcome(item, prepared[row][1])

        await asyncio.gather(*(run(lane, rows) for lane, rows in lanes.items() if rows))
        return EncodeReply([outcome for outcome in outcomes if outcome is not None], self._replica)

    async def close(self) -> None:
        await self.queue.close()
        self._device.close()
        self._pool.close()
        self.encoder.close()

    def load(self) -> dict[str, float]:
        """What there is to do here and how fast it is done: see `LoadMeter.stats`."""
        return self.meter.stats(self.queue.outstanding())

    async def _prepare(self, task: EncodeTask) -> tuple[Prepared | EncoderError | None, Spent]:
        """None for what is dropped."""
        if task.deadline is not None and task.deadline.is_over():
            return None, Spent()
        try:
            _require_modality(self.info, task.input)
        except InputError as error:
            return error, Spent()
        return await self._pool.prepare(task.input, task.role)

    @staticmethod
    def _outcome(item: Released[Encoded], spent: Spent) -> EncodeOutcome:
        stages = {**spent.stages_s(), "encode_queue": item.queued_s, "encode": item.ran_s}
        if isinstance(item.result, DeadlineExceeded):
            return EncodeOutcome(None, stages_s=stages, is_dropped=True)
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

        from deployments.recorders import ModelMetrics

        follow_serve()
        encoder = load_encoder(options.name, **options.options)
        self._metrics = ModelMetrics("encoder", encoder.info.name)
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
            on_batch=self._metrics.batch,
            on_wait=self._metrics.waited,
        )
        self._metrics.look(encoder, self._worker.queue)

    async def info(self) -> EncoderInfo:
        """What runs here."""
        return self._worker.info

    async def queued(self) -> dict[Lane, int]:
        """Items that wait here, by lane."""
        return {"interactive": self._worker.queue.queued("interactive"), "bulk": self._worker.queue.queued("bulk")}

    async def encode(self, tasks: list[EncodeTask], held: Held | None = None) -> EncodeReply:
        """See `EncoderWorker.encode`."""
        started = time.perf_counter()
        reply = await self._worker.encode(tasks, held)
        faults = sum(isinstance(outcome.error, EncoderFault) for outcome in reply.outcomes)
        log_call(log, "encode", (task.request_id for task in tasks), started, faults=faults, items=len(tasks))
        return reply

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve where this deployment is autoscaled; what `deployments.autoscaling` reads."""
        return self._worker.load()

    async def check_health(self) -> None:
        """Serve asks every few seconds, which is when queue, memory and counts of the model are looked at."""
        self._metrics.look(self._worker.encoder, self._worker.queue)
        self._metrics.service_rate(self._worker.meter.service_per_s())

    async def __del__(self) -> None:
        await self._worker.close()
