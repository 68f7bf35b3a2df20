"""Alerts on what stands before or behind a failing answer: lost replicas, queues, jobs, recall, disks, memory."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.monitoring.rule import Alert
from cluster.monitoring.serve_metrics import APPLICATION, DEPLOYMENT_STATUS, FAILED_CHECKS
from deployments import metrics as own
from deployments.catalog.versions import BuildOptions

MIN_RECALL = BuildOptions().min_recall
"""What a build has to reach, too, before it is promoted by itself."""
DRAIN_S = {"interactive": 5, "bulk": 1800}
"""Longer than this a lane should not take for what waits in it."""


def alerts() -> Iterator[Alert]:
    """All but those on objectives."""
    yield from _replicas()
    yield from _load()
    yield from _jobs()
    yield from _index()
    yield from _machines()


def _replicas() -> Iterator[Alert]:
    status = f'{DEPLOYMENT_STATUS}{{application="{APPLICATION}"}}'
    # Not `increase`, which does not see the first sample of a series, and often there is one alone.
    checks = f'{FAILED_CHECKS}{{application="{APPLICATION}"}}'
    failed, failed_before = f"sum by (deployment) ({checks})", f"sum by (deployment) ({checks} offset 5m)"
    yield Alert(
        "CrossrayAbsent",
        f"absent({status})",
        "5m",
        "page",
        "no cluster of Crossray reports anything",
        "The head is gone, or Prometheus does not reach its metrics port: look at the RayService, then at the targets.",
    )
    yield Alert(
        "CrossrayReplicaUnhealthy",
        f"min by (deployment) ({status}) <= 2",
        "1m",
        "page",
        "the deployment {{ $labels.deployment }} has a replica that died or fails its health checks, and no other yet",
        "`serve status` names the fault. A replica that cannot be placed waits for a node; one that cannot start says "
        "why in its log.",
    )
    yield Alert(
        "CrossrayReplicaLost",
        f"({failed} - ({failed_before} or 0 * {failed})) > 0",
        "0m",
        "ticket",
        "a replica of the {{ $labels.deployment }} died, or failed its health check",
        "Callers see nothing of an encoder or a retriever that is lost. Once is a node that went; again and again is a "
        "replica that dies of something: memory, or an input.",
    )


def _load() -> Iterator[Alert]:
    by = "kind, model"
    tokens = f'clamp_min(sum by ({by}) (rate({own.TOKENS_COMPUTED.exported}{{use="input"}}[5m])), 1)'
    for lane, drain_s in DRAIN_S.items():
        queued = f'sum by ({by}) (avg_over_time({own.OUTSTANDING_TOKENS.exported}{{lane="{lane}"}}[5m]))'
        yield Alert(
            "CrossrayQueueGrows",
            f"{queued} / {tokens} > {drain_s}",
            "2m" if lane == "interactive" else "30m",
            "page" if lane == "interactive" else "ticket",
            f"what waits for the {{{{ $labels.kind }}}} {{{{ $labels.model }}}} in the {lane} lane takes it over "
            f"{drain_s} s",
            "More replicas drain it, where there are nodes for them; a queue that grows while nothing is computed is a "
            "device that hangs: restart that replica.",
            {"lane": lane},
        )
    yield Alert(
        "CrossrayOverloaded",
        f'sum(rate({own.REJECTED.exported}{{reason="overloaded"}}[5m])) '
        f"/ sum(rate({own.REQUEST_SECONDS.exported}_count[5m])) > 0.01",
        "10m",
        "ticket",
        "more than one request in a hundred is refused with 429, because a queue is full",
        "Raise max_replicas of the encoder, or slow bulk work down.",
    )
    yield Alert(
        "CrossrayCacheFails",
        f'sum by (operation) (rate({own.CACHE_ERRORS.exported}{{operation=~"get|put"}}[5m])) > 0',
        "15m",
        "ticket",
        "the embedding cache fails to {{ $labels.operation }}",
        "Searches work, and each is encoded. Look at the Redis or the disk; the cache may be deleted at any time.",
    )


def _jobs() -> Iterator[Alert]:
    yield Alert(
        "CrossrayJobItemsDead",
        f'sum(increase({own.JOB_ATTEMPTS.exported}{{state="dead"}}[15m])) > 0',
        "0m",
        "ticket",
        "items of jobs were given up after all their attempts",
        "`crossray jobs show` names each with its last error. What was in the way passed? Send them again.",
    )
    yield Alert(
        "CrossrayJobsWait",
        f"max({own.JOB_OLDEST.exported}) > 3600 and max({own.JOB_ITEMS_DUE.exported}) > 0",
        "10m",
        "ticket",
        "a job has waited for over an hour",
        "No worker takes it up, or there are too few: look at the IngestWorker's replicas and at the bulk lane.",
    )
    yield Alert(
        "CrossrayRunFailed",
        f"{own.RUN_SUCCEEDED.exported} == 0",
        "0m",
        "ticket",
        "the last `crossray {{ $labels.command }}` did not do all that it was to do",
        "Its own output names the rows; it is safe to run it again.",
    )


def _index() -> Iterator[Alert]:
    yield Alert(
        "CrossrayCanaryRecallLow",
        f"min by (collection) ({own.CANARY_RECALL.exported}) < {MIN_RECALL:g}",
        "15m",
        "ticket",
        "searches of {{ $labels.collection }} find {{ $value | humanizePercentage }} of what is nearest",
        "The index's type or its search parameters no longer fit the data: `crossray index tune`, then `crossray "
        "reindex`.",
    )
    yield Alert(
        "CrossrayIndexNotReady",
        f"max by (collection) ({own.INDEX_READY.exported}) == 0",
        "2m",
        "page",
        "the index of {{ $labels.collection }} does not answer",
        "Its log line at the Retriever says why: a server that is away, a disk that is full, a file that is damaged.",
    )
    yield Alert(
        "CrossrayMilvusBreakerOpen",
        f"max by (collection) ({own.BREAKER_OPEN.exported}) > 0",
        "1m",
        "page",
        "Milvus fails, and is left alone: searches of {{ $labels.collection }} are refused with 503",
        "Look at Milvus itself. It is tried again every two seconds, and taken back by itself.",
    )


def _machines() -> Iterator[Alert]:
    free = f'sum by (instance) ({own.DATA_BYTES.exported}{{state="free"}})'
    share = f"{free} / sum by (instance) ({own.DATA_BYTES.exported})"
    for severity, least in (("page", 0.03), ("ticket", 0.1)):
        yield Alert(
            "CrossrayDataVolumeFull",
            f"{share} < {least:g}",
            "5m",
            "page" if severity == "page" else "ticket",
            "the volume of the data folder has {{ $value | humanizePercentage }} left",
            "When it is full, writes are refused with 507 and nothing is lost. Grow it, or drop old versions of "
            "collections.",
        )
    yield Alert(
        "CrossrayOutOfMemorySplits",
        f"sum by (kind, model) (increase({own.OOM_SPLITS.exported}[30m])) > 0",
        "0m",
        "ticket",
        "batches of the {{ $labels.kind }} {{ $labels.model }} did not fit its GPU and were halved",
        "Nothing failed, but each such batch ran twice: lower max_batch_cost.",
    )
