"""What records the metrics of `deployments/metrics.py` in a replica, through Ray's metrics.

A record costs some three microseconds, and Ray hands them on in the background. What can be read at any time, as the
length of a queue, is read when Serve asks a replica for its health, and not on the way of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ray.util import metrics as ray_metrics

from deployments import metrics
from deployments.batch_queue import LANES, BatchQueue
from deployments.device import oom_splits, token_count
from deployments.errors import code_of, status_of
from deployments.metrics import Metric
from deployments.stages import Stages
from encoders.device_memory import device_memory_bytes
from retrieval import IndexHealth

REJECTIONS = frozenset((401, 403, 408, 413, 415, 429))
"""Statuses of requests that were refused for what or how many they were, and not for what they said."""


class Counter:
    """Counts from a zero that is exported: `increase` does not see the first sample of a series."""

    def __init__(self, metric: Metric, **known: tuple[str, ...]) -> None:
        """`known` are the values of a label that are known before anything happens."""
        self._counter = ray_metrics.Counter(metric.name, metric.help, tag_keys=metric.labels)
        for label, values in known.items():
            for value in values:
                self.begin(**{label: value})

    def begin(self, **labels: str) -> None:
        self._counter._record(0, labels)  # `inc` refuses a zero

    def add(self, count: float = 1, **labels: str) -> None:
        self._counter.inc(count, labels)


class CountTo(Counter):
    """Follows a total that something else counts."""

    def __init__(self, metric: Metric, **labels: str) -> None:
        super().__init__(metric)
        self._labels = labels
        self._seen = 0
        self.begin(**labels)

    def reach(self, total: int) -> None:
        if total > self._seen:
            self.add(total - self._seen, **self._labels)
            self._seen = total


class Gauge:
    """Keeps the last value."""

    def __init__(self, metric: Metric) -> None:
        self._gauge = ray_metrics.Gauge(metric.name, metric.help, tag_keys=metric.labels)

    def set(self, value: float, **labels: str) -> None:
        self._gauge.set(value, labels)


class Histogram:
    """Counts values in buckets."""

    def __init__(self, metric: Metric) -> None:
        self._histogram = ray_metrics.Histogram(
            metric.name, metric.help, boundaries=list(metric.buckets), tag_keys=metric.labels
        )

    def observe(self, value: float, **labels: str) -> None:
        self._histogram.observe(value, labels)


class IngressMetrics:
    """The metrics of a process that answers requests."""

    def __init__(self) -> None:
        self._requests = Histogram(metrics.REQUEST_SECONDS)
        self._stages = Histogram(metrics.STAGE_SECONDS)
        self._errors = Counter(metrics.ERRORS)
        self._rejected = Counter(metrics.REJECTED, reason=("overloaded",))
        self._reranks = Counter(metrics.RERANKS, did=("reranked", "clear", "late", "failed"))
        self._rewrites = Counter(metrics.REWRITES, did=("model", "recalled", "unstructured", "late", "failed"))
        self._cache_lookups = Counter(metrics.CACHE_LOOKUPS, result=("hit", "miss", "shared"))
        self._cache_errors = Counter(metrics.CACHE_ERRORS, operation=("get", "put", "skip", "drop"))
        self.retry = RetryMetrics().retry

    def answered(self, operation: str, status: int, stages: Stages) -> None:
        """An answer that begins now, and the laps of its request."""
        self._requests.observe(stages.total_s, operation=operation, status=f"{status // 100}xx")
        for stage, seconds in stages.laps_s().items():
            self._stages.observe(seconds, operation=operation, stage=stage)

    def error(self, operation: str, error: BaseException) -> None:
        code = code_of(error)
        self._errors.add(operation=operation, code=code)
        if status_of(error).status in REJECTIONS:
            self._rejected.add(reason=code)

    def cache_lookup(self, result: str, count: int) -> None:
        """The hit rate is hit and shared over all."""
        self._cache_lookups.add(count, result=result)

    def cache_error(self, operation: str) -> None:
        self._cache_errors.add(operation=operation)

    def rerank(self, did: str) -> None:
        self._reranks.add(did=did)

    def rewrite(self, did: str) -> None:
        self._rewrites.add(did=did)


class RetryMetrics:
    """The metrics of a process that calls replicas."""

    def __init__(self) -> None:
        self._retries = Counter(metrics.RETRIES, target=("encoder", "index"))

    def retry(self, target: str) -> None:
        self._retries.add(target=target)


class ModelMetrics:
    """The metrics of a process that runs a model of this name."""

    def __init__(self, kind: Literal["encoder", "reranker"], model: str) -> None:
        self._labels = labels = {"kind": kind, "model": model}
        self._items = Histogram(metrics.BATCH_ITEMS)
        self._tokens = Histogram(metrics.BATCH_TOKENS)
        self._seconds = Histogram(metrics.BATCH_SECONDS)
        self._waits = Histogram(metrics.QUEUE_SECONDS)
        self._queued_items = Gauge(metrics.QUEUED_ITEMS)
        self._outstanding = Gauge(metrics.OUTSTANDING_TOKENS)
        self._service_rate = Gauge(metrics.SERVICE_RATE)
        self._memory = Gauge(metrics.DEVICE_MEMORY)
        self._oom_splits = CountTo(metrics.OOM_SPLITS, **labels)
        self._inputs = CountTo(metrics.TOKENS_COMPUTED, **labels, use="input")
        self._padding = CountTo(metrics.TOKENS_COMPUTED, **labels, use="padding")

    def batch(self, items: int, tokens: int, seconds: float) -> None:
        self._items.observe(items, **self._labels)
        self._tokens.observe(tokens, **self._labels)
        self._seconds.observe(seconds, **self._labels)

    def waited(self, lane: str, seconds: float) -> None:
        """The longest wait among the items of a call."""
        self._waits.observe(seconds, **self._labels, lane=lane)

    def service_rate(self, tokens_per_s: float | None) -> None:
        """None before the first batch."""
        if tokens_per_s is not None:
            self._service_rate.set(tokens_per_s, **self._labels)

    def look(self, model: object, queue: BatchQueue[Any, Any]) -> None:
        """Records what can be read at any time: the queue, what the model counts by itself, and the GPU's memory."""
        for lane in LANES:
            self._queued_items.set(queue.queued(lane), **self._labels, lane=lane)
            self._outstanding.set(queue.outstanding()[lane], **self._labels, lane=lane)
        tokens = token_count(model)
        self._oom_splits.reach(oom_splits(model))
        self._inputs.reach(tokens.tokens)
        self._padding.reach(tokens.padding)
        for state, size in device_memory_bytes().items():
            self._memory.set(size, **self._labels, state=state)


class OcrMetrics:
    """The metrics of the process that reads text off images."""

    def __init__(self) -> None:
        self._pages = Counter(metrics.OCR_PAGES)
        self._seconds = Histogram(metrics.OCR_SECONDS)

    def page(self, outcome: str, seconds: float) -> None:
        """`outcome` is one of `deployments.ocr.Outcome`."""
        self._pages.add(outcome=outcome)
        self._seconds.observe(seconds, outcome=outcome)


class JobMetrics:
    """The metrics of jobs."""

    def __init__(self) -> None:
        self._items = Gauge(metrics.JOB_ITEMS)
        self._due = Gauge(metrics.JOB_ITEMS_DUE)
        self._oldest = Gauge(metrics.JOB_OLDEST)
        self._attempts = Counter(metrics.JOB_ATTEMPTS, state=("done", "failed", "dead", "pending"))

    def attempt(self, state: str) -> None:
        """`state` is done, failed, dead, or pending for one more."""
        self._attempts.add(state=state)

    def swept(self, counts: Mapping[str, int], due: int, oldest_pending_s: float) -> None:
        for state, count in counts.items():
            self._items.set(count, state=state)
        self._due.set(due)
        self._oldest.set(oldest_pending_s)


class IndexMetrics:
    """The metrics of a process that has indexes open."""

    def __init__(self) -> None:
        self._items = Gauge(metrics.INDEX_ITEMS)
        self._ready = Gauge(metrics.INDEX_READY)
        self._breaker = Gauge(metrics.BREAKER_OPEN)
        self._data = Gauge(metrics.DATA_BYTES)

    def index(self, collection: str, health: IndexHealth | None, breaker_open: bool | None) -> None:
        """See `deployments.open_versions.OnIndex`."""
        self._ready.set(health is not None and health.ready, collection=collection)
        if health is not None:
            self._items.set(health.count, collection=collection)
        if breaker_open is not None:
            self._breaker.set(breaker_open, collection=collection)

    def data(self, free: int, used: int) -> None:
        self._data.set(free, state="free")
        self._data.set(used, state="used")


class CanaryMetrics:
    """The metrics of the process that watches collections."""

    def __init__(self) -> None:
        self._recall = Gauge(metrics.CANARY_RECALL)

    def recall(self, collection: str, recall: float) -> None:
        self._recall.set(recall, collection=collection)
