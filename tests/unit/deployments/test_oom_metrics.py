"""A batch that did not fit the device moves the exported counter by the times it was halved, and once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.model_options import ModelOptions
from deployments.prepare_pool import PreparePool
from deployments.rerank import RerankDeployment, RerankTask
from encoders import EncoderInput, Prepared
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.out_of_memory import HalvingForward

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's, when it is imported
OPTIONS = ModelOptions("tight", {}, BatchLimits(max_batch_size=8), prepare_workers=1)


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


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, dict[str, str]]]:
    """What reaches Ray of the counters of halvings, in place of its exporter."""
    from ray.util.metrics import Metric

    seen: list[tuple[str, float, dict[str, str]]] = []

    def record(self: Metric, value: float, tags: dict[str, str] | None = None) -> None:
        if self.info["name"].endswith("oom_splits"):
            seen.append((self.info["name"], value, tags or {}))

    monkeypatch.setattr(Metric, "_record", record)
    return seen


async def test_of_the_encoder(exported: list[Any]) -> None:
    from deployments.metrics import Metrics

    encoder = Tight(FakeEncoder(), (64,))
    worker = EncoderWorker(encoder, OPTIONS.limits, pool=PreparePool(encoder.preparer, 1))
    metrics = Metrics(encoder=encoder.info.name)
    for texts in (["a", "b"], ["a", "b", "c", "d"], ["e"]):
        reply = await worker.encode([EncodeTask(EncoderInput(text), "query", "bulk") for text in texts])
        assert all(np.linalg.norm(outcome.unwrap()) > 0.99 for outcome in reply.outcomes), "all items succeed"
        metrics.encoder_oom_splits(worker.oom_splits())
    await worker.close()
    assert exported == [("crossray_encoder_oom_splits", 1, {"encoder": "fake"})]


async def test_of_the_reranker(exported: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("deployments.rerank.load_reranker", lambda name: Tight(FakeReranker(), ()))
    monkeypatch.delattr(RerankDeployment, "__del__")  # which only Serve awaits
    deployment = RerankDeployment(OPTIONS, tmp_path)
    for count in (2, 4, 1):
        documents = tuple(EncoderInput("red") for _ in range(count))
        assert (await deployment.rerank(RerankTask(EncoderInput("red"), documents))).scores == (1.0,) * count
    await deployment._worker.close()
    assert exported == [("crossray_reranker_oom_splits", 1, {"reranker": "fake-reranker"})]
