"""Every metric of ours, in one table: what it is called, what it counts, in which unit and by which labels.

Ray exports those of replicas as `ray_crossray_…` on each node's metrics port; `deployments/recorders.py` records them.
Serve's own metrics already count HTTP requests, calls and replicas; these say what only Crossray knows. Dashboards,
alert rules and the reference in the docs are made from this table, which needs no Ray to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Unit: TypeAlias = Literal[
    "seconds", "items", "tokens", "bytes", "pages", "requests", "calls", "batches", "ratio", "bool"
]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ITEMS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
TOKENS = (16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A histogram's `buckets` are upper bounds, in its unit."""

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    by_command: bool = False
    """Written by a command of `crossray` and not by a replica, so that Ray does not export it."""

    @property
    def exported(self) -> str:
        """Its name in Prometheus; a histogram has three, which end in `_bucket`, `_sum` and `_count`."""
        if self.by_command:
            return self.name
        return f"ray_{self.name}_total" if self.kind == "counter" else f"ray_{self.name}"


METRICS: dict[str, Metric] = {}
"""All of them, by name."""


def _counter(name: str, unit: Unit, help: str, *labels: str) -> Metric:
    return _define(Metric(name, "counter", unit, help, labels))


def _gauge(name: str, unit: Unit, help: str, *labels: str, by_command: bool = False) -> Metric:
    return _define(Metric(name, "gauge", unit, help, labels, by_command=by_command))


def _histogram(name: str, unit: Unit, help: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Metric:
    return _define(Metric(name, "histogram", unit, help, labels, buckets))


def _define(metric: Metric) -> Metric:
    if metric.name in METRICS:
        raise ValueError(f"{metric.name} is defined twice")
    METRICS[metric.name] = metric
    return metric


# The ingress.
REQUEST_SECONDS = _histogram(
    "crossray_request_seconds",
    "seconds",
    "Time to the first byte of an answer. `operation` is what was asked for, `status` the class of the answer: 2xx.",
    "operation",
    "status",
)
STAGE_SECONDS = _histogram(
    "crossray_stage_seconds",
    "seconds",
    "Time of one stage of a request: auth, read, cache, decode, preprocess, encode_queue, encode, encode_call, search, "
    "rerank, and what else its Server-Timing header names.",
    "operation",
    "stage",
)
ERRORS = _counter("crossray_errors", "requests", "Answers that were errors, by their code.", "operation", "code")
REJECTED = _counter(
    "crossray_rejected_requests",
    "requests",
    "Requests that were refused for what or how many they were, and not for what they said: the codes of statuses 401, "
    "403, 408, 413, 415 and 429.",
    "reason",
)
RETRIES = _counter(
    "crossray_retries",
    "calls",
    "Calls repeated because the replica that worked on them was lost. What no replica had begun yet Serve sends on "
    "itself, and it is not counted: as a rule that is all of a retriever's, whose calls take a millisecond.",
    "target",
)
CACHE_LOOKUPS = _counter(
    "crossray_cache_lookups",
    "items",
    "Inputs looked up in the embedding cache: hit, miss, or shared with an encoding under way.",
    "result",
)
CACHE_ERRORS = _counter(
    "crossray_cache_errors",
    "calls",
    "What the embedding cache did not do: get and put failed, skip was not tried, drop was not stored.",
    "operation",
)
RERANKS = _counter(
    "crossray_reranks",
    "requests",
    "Searches that were to be reranked: reranked, clear (no need), late, or failed.",
    "did",
)
REWRITES = _counter(
    "crossray_rewrites",
    "requests",
    "Queries that a model was to rewrite: model, recalled (read before), unstructured, late, or failed.",
    "did",
)

# Models on a device: `kind` is encoder or reranker, `model` its name.
BATCH_ITEMS = _histogram("crossray_batch_items", "items", "Items in a batch that ran.", "kind", "model", buckets=ITEMS)
BATCH_TOKENS = _histogram(
    "crossray_batch_tokens",
    "tokens",
    "Cost of a batch that ran, in tokens of text and image as the model counts them.",
    "kind",
    "model",
    buckets=TOKENS,
)
BATCH_SECONDS = _histogram("crossray_batch_seconds", "seconds", "Time a batch ran.", "kind", "model")
QUEUE_SECONDS = _histogram(
    "crossray_queue_seconds",
    "seconds",
    "Longest wait for the device among the items of one call, by lane: interactive or bulk.",
    "kind",
    "model",
    "lane",
)
QUEUED_ITEMS = _gauge("crossray_queued_items", "items", "Items that wait for the device.", "kind", "model", "lane")
OUTSTANDING_TOKENS = _gauge(
    "crossray_outstanding_tokens", "tokens", "Cost of what waits for the device or runs on it.", "kind", "model", "lane"
)
SERVICE_RATE = _gauge(
    "crossray_service_tokens_per_second",
    "tokens",
    "Cost a second that the replica does with full batches, as the autoscaling takes it. None before the first batch.",
    "kind",
    "model",
)
TOKENS_COMPUTED = _counter(
    "crossray_tokens",
    "tokens",
    "Tokens that went through the model: of inputs, or padding beside them, which is waste.",
    "kind",
    "model",
    "use",
)
OOM_SPLITS = _counter(
    "crossray_oom_splits", "batches", "Batches halved because they did not fit the device.", "kind", "model"
)
DEVICE_MEMORY = _gauge(
    "crossray_device_memory_bytes",
    "bytes",
    "GPU memory: allocated by tensors, reserved by the allocator, free and total of the GPU. None without a GPU.",
    "kind",
    "model",
    "state",
)

# OCR.
OCR_PAGES = _counter("crossray_ocr_pages", "pages", "Images that were looked at for text.", "outcome")
OCR_SECONDS = _histogram("crossray_ocr_seconds", "seconds", "Time an image took.", "outcome")

# Jobs. What a sweep counts is the table's, and the same from whoever swept.
JOB_ITEMS = _gauge("crossray_job_items", "items", "Items of all jobs that are remembered.", "state")
JOB_ITEMS_DUE = _gauge("crossray_job_items_due", "items", "Items that wait for a worker, and for nothing else.")
JOB_OLDEST = _gauge("crossray_job_oldest_pending_seconds", "seconds", "Age of the oldest job that has an item waiting.")
JOB_ATTEMPTS = _counter("crossray_job_attempts", "items", "Attempts at items, by the state they left them in.", "state")

# The index.
CANARY_RECALL = _gauge(
    "crossray_canary_recall",
    "ratio",
    "Share of the ten really nearest that a search of the live index finds, on a sample.",
    "collection",
)
INDEX_ITEMS = _gauge("crossray_index_items", "items", "Items in a collection's live version.", "collection")
INDEX_READY = _gauge("crossray_index_ready", "bool", "Whether a collection's live version answers.", "collection")
BREAKER_OPEN = _gauge(
    "crossray_index_breaker_open",
    "bool",
    "Whether calls to the Milvus server are refused unasked, because it did not answer several times in a row. None "
    "for an embedded index.",
    "collection",
)
DATA_BYTES = _gauge("crossray_data_bytes", "bytes", "The volume of the data folder: free, and used by all.", "state")

# Commands, which end: in a file that node-exporter's textfile collector reads.
RUN_ITEMS = _gauge(
    "crossray_run_items", "items", "What became of the items of the last run.", "command", "outcome", by_command=True
)
RUN_SECONDS = _gauge("crossray_run_seconds", "seconds", "Time the last run took.", "command", by_command=True)
RUN_ENDED = _gauge(
    "crossray_run_ended_timestamp_seconds",
    "seconds",
    "When the last run ended, in Unix time.",
    "command",
    by_command=True,
)
RUN_SUCCEEDED = _gauge(
    "crossray_run_succeeded", "bool", "Whether the last run did all that it was to do.", "command", by_command=True
)
