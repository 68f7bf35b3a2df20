"""What a model and its queue tell of themselves reaches Ray's exporter once, however often it is looked at."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.metrics import METRICS
from deployments.prepare_pool import PreparePool
from deployments.rerank import RerankTask, RerankWorker
from encoders import EncoderInput, Prepared
from encoders.batching import TokenCount, length_groups
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.out_of_memory import HalvingForward
from retrieval import FolderMedia

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported
LIMITS = BatchLimits(max_batch_size=8)


class Exported:
    """What reaches Ray, in place of its exporter: sums of counters, last values of gauges, counts of histograms."""

    def __init__(self) -> None:
        self.seen: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)

    def record(self, name: str, value: float, tags: dict[str, str]) -> None:
        metric, labels = METRICS[name], tuple(tags.values())
        assert tuple(tags) == metric.labels, name
        before = 0.0 if metric.kind == "gauge" else self.seen[name].get(labels, 0.0)
        self.seen[name][labels] = before + (1 if metric.kind == "histogram" else value)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    from ray.util.metrics import Metric

    sink = Exported()
    monkeypatch.setattr(Metric, "_record", lambda self, value, tags: sink.record(self.info["name"], value, tags))
    return sink


class Tight:
    """A device with room for two items; it counts halvings as a real model does."""

    def __init__(self, model: Any, row_shape: tuple[int, ...]) -> None:
        self._model = model
        self._halving = HalvingForward(self._run, row_shape)

    def _run(self, batch: Sequence[Any]) -> Any:
        import torch

        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._model.forward(batch)

    def forward(self, batch: Sequence[Prepared]) -> Any:
        return self._halving(batch)

    @property
    def oom_splits(self) -> int:
        return self._halving.splits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


async def test_of_an_encoder(exported: Exported) -> None:
    from deployments.recorders import ModelMetrics

    encoder = Tight(FakeEncoder(), (64,))
    metrics = ModelMetrics("encoder", "fake")
    worker = EncoderWorker(
        encoder,
        LIMITS,
        pool=PreparePool(encoder.preparer, 1),
        on_batch=metrics.batch,
        on_wait=metrics.waited,
    )
    metrics.look(encoder, worker.queue)
    assert exported.seen["crossray_oom_splits"] == {("encoder", "fake"): 0}, "a zero is there before the first split"
    for texts in (["a", "b b"], ["a", "b", "c", "d"], ["e"]):
        reply = await worker.encode([EncodeTask(EncoderInput(text), "query", "bulk") for text in texts])
        assert all(np.linalg.norm(outcome.unwrap()) > 0.99 for outcome in reply.outcomes), "all items succeed"
        metrics.look(encoder, worker.queue)
        metrics.look(encoder, worker.queue)
    await worker.close()
    assert exported.seen["crossray_oom_splits"] == {("encoder", "fake"): 1}
    assert exported.seen["crossray_tokens"] == {("encoder", "fake", "input"): 8, ("encoder", "fake", "padding"): 0}
    for name in ("crossray_batch_items", "crossray_batch_tokens", "crossray_batch_seconds"):
        assert exported.seen[name] == {("encoder", "fake"): 3}
    assert exported.seen["crossray_queue_seconds"] == {("encoder", "fake", "bulk"): 3}
    assert "crossray_device_memory_bytes" not in exported.seen, "no GPU, no figure"


async def test_of_a_reranker(exported: Exported, tmp_path: Any) -> None:
    from deployments.recorders import ModelMetrics

    reranker = Tight(FakeReranker(), ())
    metrics = ModelMetrics("reranker", "fake-reranker")
    pool = PreparePool(reranker.preparer, 1)
    worker = RerankWorker(reranker, LIMITS, pool=pool, media=FolderMedia(tmp_path), on_batch=metrics.batch)
    for count in (2, 4, 1):
        documents = tuple(EncoderInput("red") for _ in range(count))
        assert (await worker.rerank(RerankTask(EncoderInput("red"), documents))).scores == (1.0,) * count
        metrics.look(reranker, worker.queue)
    await worker.close()
    assert exported.seen["crossray_oom_splits"] == {("reranker", "fake-reranker"): 1}
    assert exported.seen["crossray_batch_items"] == {("reranker", "fake-reranker"): 3}


async def test_what_waits_is_seen_in_items_and_tokens(exported: Exported) -> None:
    from deployments.recorders import ModelMetrics

    encoder = FakeEncoder(work_s=0.05)
    metrics = ModelMetrics("encoder", "fake")
    worker = EncoderWorker(encoder, BatchLimits(max_batch_size=1), pool=PreparePool(encoder.preparer, 1))
    tasks = [EncodeTask(EncoderInput("two words"), "query", "bulk") for _ in range(4)]
    encoding = asyncio.create_task(worker.encode(tasks))
    while worker.queue.queued("bulk") != 2:  # noqa: ASYNC110 - one of the four runs, one is done
        await asyncio.sleep(0.005)
    metrics.look(encoder, worker.queue)
    assert exported.seen["crossray_queued_items"][("encoder", "fake", "bulk")] == 2
    assert exported.seen["crossray_outstanding_tokens"][("encoder", "fake", "bulk")] == 6, "one runs"
    assert exported.seen["crossray_queued_items"][("encoder", "fake", "interactive")] == 0
    await encoding
    metrics.look(encoder, worker.queue)
    assert exported.seen["crossray_outstanding_tokens"][("encoder", "fake", "bulk")] == 0
    await worker.close()


def test_padding_is_what_rows_are_filled_up_by() -> None:
    lengths, count = [10, 2000, 10, 12], TokenCount()
    for rows in length_groups(lengths):
        count.add([lengths[row] for row in rows])
    assert count.tokens == sum(lengths)
    assert count.padding == 2 + 2, "two rows of ten go with the one of twelve, the long one alone"
