"""The dashboards: what callers see, and what stands behind it."""

from __future__ import annotations

from cluster.monitoring.alerts import MIN_RECALL
from cluster.monitoring.objectives import AVAILABILITY, SEARCH, SEARCH_S
from cluster.monitoring.panel import Dashboard, Panel
from cluster.monitoring.serve_metrics import (
    APPLICATION,
    DEPLOYMENT_STATUS,
    HANDLE_QUEUE,
    HTTP_REQUESTS,
    ONGOING,
    PROCESSING_MS,
    REPLICA_HEALTHY,
)
from deployments import metrics as own
from deployments.metrics import Metric

RATE = "[$__rate_interval]"
_OURS = f'{{application="{APPLICATION}"}}'
_SEARCH = '{operation="search"}'
_PADDING = '{use="padding"}'


def _rate(metric: Metric, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({metric.exported}{where}{RATE}))"


def _quantile(share: float, metric: Metric, by: str, where: str = "") -> str:
    return f"histogram_quantile({share:g}, sum by (le, {by}) (rate({metric.exported}_bucket{where}{RATE})))"


def _mean(metric: Metric, by: str) -> str:
    sums, counts = (f"sum by ({by}) (rate({metric.exported}_{part}{RATE}))" for part in ("sum", "count"))
    return f"{sums} / {counts}"


def _serve(name: str, how: str, by: str = "deployment") -> str:
    return f"{how} by ({by}) ({name}{_OURS})"


_ALL_LOOKUPS = f"sum(rate({own.CACHE_LOOKUPS.exported}{RATE}))"

SERVICE = Dashboard(
    "crossray-service",
    "Crossray: service",
    {
        "What callers see": (
            Panel(
                "Answers",
                "reqps",
                {"{{status_code}}": f"sum by (status_code) (rate({HTTP_REQUESTS}{_OURS}{RATE}))"},
            ),
            Panel(
                "Time to answer, p99",
                "s",
                {"{{operation}}": _quantile(0.99, own.REQUEST_SECONDS, "operation", '{status="2xx"}')},
                "Of answers that succeeded.",
                SEARCH_S,
            ),
            Panel("Errors by code", "reqps", {"{{operation}} {{code}}": _rate(own.ERRORS, "operation, code")}),
            Panel(
                "Bad requests over all, of the last hour",
                "percentunit",
                {
                    "failed": f"crossray:{AVAILABILITY.name}_bad_ratio:rate1h",
                    "slow searches": f"crossray:{SEARCH.name}_bad_ratio:rate1h",
                },
                f"The budgets are {AVAILABILITY.budget:.2%} and {SEARCH.budget:.0%}.",
            ),
            Panel("Refused by reason", "reqps", {"{{reason}}": _rate(own.REJECTED, "reason")}),
            Panel(
                "Answers by operation",
                "reqps",
                {"{{operation}}": f"sum by (operation) (rate({own.REQUEST_SECONDS.exported}_count{RATE}))"},
            ),
        ),
        "Where the time goes": (
            Panel(
                "Stages of a search, p99",
                "s",
                {"{{stage}}": _quantile(0.99, own.STAGE_SECONDS, "stage", _SEARCH)},
            ),
            Panel(
                "Stages of a search, mean",
                "s",
                {
                    "{{stage}}": f"sum by (stage) (rate({own.STAGE_SECONDS.exported}_sum{_SEARCH}{RATE})) / "
                    f"ignoring(stage) group_left sum(rate({own.REQUEST_SECONDS.exported}_count{_SEARCH}{RATE}))"
                },
                "Over all searches: what a stage that few need costs on the whole.",
            ),
            Panel(
                "Stages of an upload, p99",
                "s",
                {"{{stage}}": _quantile(0.99, own.STAGE_SECONDS, "stage", '{operation="add_item"}')},
            ),
            Panel(
                "Embedding cache",
                "percentunit",
                {"{{result}}": f"{_rate(own.CACHE_LOOKUPS, 'result')} / ignoring(result) group_left {_ALL_LOOKUPS}"},
                "Hits and shared encodings are not computed.",
            ),
            Panel("Reranking", "reqps", {"{{did}}": _rate(own.RERANKS, "did")}),
            Panel("Rewriting of queries", "reqps", {"{{did}}": _rate(own.REWRITES, "did")}),
        ),
    },
)

_ENCODING = "kind, model"
PARTS = Dashboard(
    "crossray-parts",
    "Crossray: parts",
    {
        "Replicas": (
            Panel("Healthy replicas", "short", {"{{deployment}}": _serve(REPLICA_HEALTHY, "sum")}),
            Panel("Status", "short", {"{{deployment}}": _serve(DEPLOYMENT_STATUS, "min")}, "6 is healthy.", 2),
            Panel("Calls repeated after a loss", "ops", {"{{target}}": _rate(own.RETRIES, "target")}),
            Panel("Calls that run", "short", {"{{deployment}}": _serve(ONGOING, "sum")}),
            Panel("Calls that wait for a replica", "short", {"{{deployment}}": _serve(HANDLE_QUEUE, "sum")}),
            Panel(
                "Time of a call, p99",
                "s",
                {
                    "{{deployment}}": "histogram_quantile(0.99, sum by (le, deployment) "
                    f"(rate({PROCESSING_MS}_bucket{_OURS}{RATE}))) / 1000"
                },
            ),
        ),
        "Models": (
            Panel(
                "Items that wait",
                "short",
                {"{{model}} {{lane}}": f"sum by (model, lane) ({own.QUEUED_ITEMS.exported})"},
            ),
            Panel(
                "Tokens that wait or run",
                "short",
                {"{{model}} {{lane}}": f"sum by (model, lane) ({own.OUTSTANDING_TOKENS.exported})"},
            ),
            Panel(
                "Tokens a second with full batches",
                "short",
                {"{{model}}": f"sum by (model) ({own.SERVICE_RATE.exported})"},
            ),
            Panel(
                "Longest wait of a call, p99",
                "s",
                {"{{model}} {{lane}}": _quantile(0.99, own.QUEUE_SECONDS, "model, lane")},
            ),
            Panel("Items in a batch, mean", "short", {"{{model}}": _mean(own.BATCH_ITEMS, "model")}),
            Panel("Tokens in a batch, mean", "short", {"{{model}}": _mean(own.BATCH_TOKENS, "model")}),
            Panel("Time of a batch, p99", "s", {"{{model}}": _quantile(0.99, own.BATCH_SECONDS, "model")}),
            Panel("Tokens computed", "ops", {"{{model}} {{use}}": _rate(own.TOKENS_COMPUTED, "model, use")}),
            Panel(
                "Padding over all tokens",
                "percentunit",
                {
                    "{{model}}": f"{_rate(own.TOKENS_COMPUTED, 'model', _PADDING)} / "
                    f"{_rate(own.TOKENS_COMPUTED, 'model')}"
                },
                "What the device computed for nothing.",
            ),
            Panel(
                "GPU memory",
                "bytes",
                {"{{model}} {{state}}": f"max by (model, state) ({own.DEVICE_MEMORY.exported})"},
                "Nothing without a GPU.",
            ),
            Panel("Batches halved for want of memory", "ops", {"{{model}}": _rate(own.OOM_SPLITS, "model")}),
        ),
        "Index and jobs": (
            Panel("Items stored", "short", {"{{collection}}": f"max by (collection) ({own.INDEX_ITEMS.exported})"}),
            Panel(
                "Recall of the canary",
                "percentunit",
                {"{{collection}}": f"min by (collection) ({own.CANARY_RECALL.exported})"},
                limit=MIN_RECALL,
            ),
            Panel("Index answers", "short", {"{{collection}}": f"min by (collection) ({own.INDEX_READY.exported})"}),
            Panel(
                "Milvus left alone", "short", {"{{collection}}": f"max by (collection) ({own.BREAKER_OPEN.exported})"}
            ),
            Panel(
                "Volume of the data folder",
                "bytes",
                {"{{state}}": f"max by (instance, state) ({own.DATA_BYTES.exported})"},
            ),
            Panel("Cache failures", "ops", {"{{operation}}": _rate(own.CACHE_ERRORS, "operation")}),
            Panel("Items of jobs", "short", {"{{state}}": f"max by (state) ({own.JOB_ITEMS.exported})"}),
            Panel(
                "Items due, and the oldest job's age",
                "short",
                {"items due": f"max({own.JOB_ITEMS_DUE.exported})", "seconds": f"max({own.JOB_OLDEST.exported})"},
            ),
            Panel("Attempts at items", "ops", {"{{state}}": _rate(own.JOB_ATTEMPTS, "state")}),
            Panel("Images read", "ops", {"{{outcome}}": _rate(own.OCR_PAGES, "outcome")}),
            Panel("Time to read an image, p99", "s", {"{{outcome}}": _quantile(0.99, own.OCR_SECONDS, "outcome")}),
        ),
        "Nodes": (
            Panel("Processor", "percentunit", {"{{instance}}": "max by (instance) (ray_node_cpu_utilization) / 100"}),
            Panel(
                "Memory",
                "percentunit",
                {"{{instance}}": "max by (instance) (ray_node_mem_used) / max by (instance) (ray_node_mem_total)"},
            ),
        ),
    },
)

DASHBOARDS = (SERVICE, PARTS)
