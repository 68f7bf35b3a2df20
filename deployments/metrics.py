"""Every metric of ours, in one place. Ray exports them as `ray_crossray_…` on each node's metrics port.

Serve's own metrics already count HTTP requests, queues and replicas; these say what only Crossray knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge, Histogram

_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
_SIZES = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]


class Metrics:
    """The metrics of one process. `encoder` names the encoder it works with, and tags what depends on it."""

    def __init__(self, encoder: str) -> None:
        self._encoder = encoder
        self._stages = Histogram(
            "crossray_stage_seconds",
            "Time of one stage of a request.",
            boundaries=_SECONDS,
            tag_keys=("operation", "stage"),
        )
        self._errors = Counter("crossray_errors", "Answers that were errors.", tag_keys=("operation", "code"))
        self._batch_size = Histogram(
            "crossray_encoder_batch_size", "Items in a batch that ran.", boundaries=_SIZES, tag_keys=("encoder",)
        )
        self._batch_seconds = Histogram(
            "crossray_encoder_batch_seconds", "Time a batch ran.", boundaries=_SECONDS, tag_keys=("encoder",)
        )
        self._oom_splits = _OomSplits("encoder", encoder)
        self._queued = Gauge("crossray_encoder_queued", "Items that wait for the device.", tag_keys=("encoder", "lane"))
        self._cache_lookups = Counter(
            "crossray_cache_lookups",
            "Inputs looked up in the embedding cache: hit, miss, or shared with an encoding under way.",
            tag_keys=("result",),
        )
        self._cache_errors = Counter(
            "crossray_cache_errors",
            "What the embedding cache did not do: get and put failed, skip was not tried, drop was not stored.",
            tag_keys=("operation",),
        )
        self._reranks = Counter(
            "crossray_reranks",
            "Searches that were to be reranked: reranked, clear (no need), late, or failed.",
            tag_keys=("did",),
        )
        self._rewrites = Counter(
            "crossray_rewrites",
            "Queries that a model was to rewrite: model, recalled (read before), unstructured, late, or failed.",
            tag_keys=("did",),
        )
        self._retries = Counter("crossray_retries", "Calls repeated after a replica was lost.", tag_keys=("target",))

    def stages(self, operation: str, laps_s: Mapping[str, float]) -> None:
        """A finished request's laps."""
        for stage, seconds in laps_s.items():
            self._stages.observe(seconds, tags={"operation": operation, "stage": stage})

    def error(self, operation: str, code: str) -> None:
        self._errors.inc(1, tags={"operation": operation, "code": code})

    def encoder_batch(self, size: int, seconds: float) -> None:
        self._batch_size.observe(size, tags={"encoder": self._encoder})
        self._batch_seconds.observe(seconds, tags={"encoder": self._encoder})

    def encoder_oom_splits(self, total: int) -> None:
        """How often, since the encoder was loaded, a batch did not fit the device and was halved."""
        self._oom_splits.reach(total)

    def encoder_queued(self, lane: str, count: int) -> None:
        self._queued.set(count, tags={"encoder": self._encoder, "lane": lane})

    def cache_lookup(self, result: str, count: int) -> None:
        """The hit rate is hit and shared over all."""
        self._cache_lookups.inc(count, tags={"result": result})

    def cache_error(self, operation: str) -> None:
        self._cache_errors.inc(1, tags={"operation": operation})

    def rerank(self, did: str) -> None:
        """`did` is reranked, clear, late or failed."""
        self._reranks.inc(1, tags={"did": did})

    def rewrite(self, did: str) -> None:
        """`did` is model, recalled, unstructured, late or failed."""
        self._rewrites.inc(1, tags={"did": did})

    def retry(self, target: str) -> None:
        self._retries.inc(1, tags={"target": target})


class RerankerMetrics:
    """The metrics of the process that runs the reranker of this name."""

    def __init__(self, reranker: str) -> None:
        self._tags = {"reranker": reranker}
        self._batch_size = Histogram(
            "crossray_reranker_batch_size", "Pairs in a batch that ran.", boundaries=_SIZES, tag_keys=("reranker",)
        )
        self._batch_seconds = Histogram(
            "crossray_reranker_batch_seconds", "Time a batch ran.", boundaries=_SECONDS, tag_keys=("reranker",)
        )
        self._oom_splits = _OomSplits("reranker", reranker)

    def batch(self, size: int, seconds: float) -> None:
        self._batch_size.observe(size, tags=self._tags)
        self._batch_seconds.observe(seconds, tags=self._tags)

    def oom_splits(self, total: int) -> None:
        """How often, since the reranker was loaded, a batch did not fit the device and was halved."""
        self._oom_splits.reach(total)


class _OomSplits:
    """Counts up to what a model counts by itself."""

    def __init__(self, kind: str, name: str) -> None:
        """`kind` is encoder or reranker."""
        self._tags = {kind: name}
        self._seen = 0
        self._counter = Counter(
            f"crossray_{kind}_oom_splits", "Batches halved because they did not fit the device.", tag_keys=(kind,)
        )

    def reach(self, total: int) -> None:
        if total > self._seen:
            self._counter.inc(total - self._seen, tags=self._tags)
            self._seen = total


class OcrMetrics:
    """The metrics of the process that reads text off images."""

    def __init__(self) -> None:
        self._pages = Counter("crossray_ocr_pages", "Images that were looked at for text.", tag_keys=("outcome",))
        self._seconds = Histogram(
            "crossray_ocr_seconds", "Time an image took.", boundaries=_SECONDS, tag_keys=("outcome",)
        )

    def page(self, outcome: str, seconds: float) -> None:
        """`outcome` is one of `deployments.ocr.Outcome`."""
        self._pages.inc(1, tags={"outcome": outcome})
        self._seconds.observe(seconds, tags={"outcome": outcome})
