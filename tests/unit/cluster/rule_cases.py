"""What makes each alert fire, and what like it does not. Series are in promtool's notation, a sample a minute.

Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HTTP = 'ray_serve_num_http_requests_total{application="crossray", status_code="%s"}'
PROBES = 'ray_crossray_request_seconds_count{operation="ready", status="5xx"}'
SEARCHES = 'ray_crossray_request_seconds_count{operation="search", status="2xx"}'
FAST = 'ray_crossray_request_seconds_bucket{operation="search", status="2xx", le="0.5"}'
STATUS = 'ray_serve_deployment_status{application="crossray", deployment="%s"}'
CHECKS = 'ray_serve_health_check_failures_total{application="crossray", deployment="%s", replica="%s"}'
QUEUE = 'ray_crossray_outstanding_tokens{kind="encoder", model="m", lane="%s"}'
TOKENS = 'ray_crossray_tokens_total{kind="encoder", model="m", use="input"}'
DATA = 'ray_crossray_data_bytes{instance="a", state="%s"}'


@dataclass(frozen=True, slots=True)
class Case:
    """Series of samples, and which alerts of `alert` fire at a time: the labels of each beside its severity."""

    alert: str
    series: Mapping[str, str]
    at: str
    fires: tuple[Mapping[str, str], ...] = ()
    severity: str = "ticket"

    @property
    def expected(self) -> list[dict[str, dict[str, str]]]:
        """As promtool has it."""
        return [{"exp_labels": {"severity": self.severity, **labels}} for labels in self.fires]


def fires(alert: str, series: Mapping[str, str], at: str, *labels: Mapping[str, str], severity: str = "ticket") -> Case:
    return Case(alert, series, at, labels or ({},), severity)


def silent(alert: str, series: Mapping[str, str], at: str) -> Case:
    return Case(alert, series, at)


def http(ok: str, failed: str, probes: str = "0x1600") -> dict[str, str]:
    return {HTTP % 200: ok, HTTP % 503: failed, PROBES: probes}


def searches(all_: str, fast: str) -> dict[str, str]:
    return {SEARCHES: all_, FAST: fast}


AVAILABILITY = "CrossrayAvailabilityBudgetBurns"
LATENCY = "CrossraySearchLatencyBudgetBurns"

CASES = (
    # Of 1000 a minute 20 fail: 2 % burns the budget of 0.1 % twenty times too fast.
    fires(
        AVAILABILITY,
        http("0+980x90", "0+20x90"),
        "70m",
        {"window": "1h", "severity": "page"},
        {"window": "6h", "severity": "page"},
        {"window": "1d"},
    ),
    # 0.8 % is eight times too fast: no page of the short windows.
    fires(
        AVAILABILITY,
        http("0+992x500", "0+8x500"),
        "450m",
        {"window": "6h", "severity": "page"},
        {"window": "1d"},
        {"window": "3d"},
    ),
    # 0.2 % is twice: a ticket alone.
    fires(AVAILABILITY, http("0+998x400", "0+2x400"), "250m", {"window": "3d"}),
    silent(AVAILABILITY, http("0+9995x400", "0+5x400"), "250m"),
    # It failed for ten minutes, an hour ago.
    silent(AVAILABILITY, http("0+1000x1600", "0+0x1300 0+20x10 200x300"), "1420m"),
    # What fails are our answers to probes while it starts.
    silent(AVAILABILITY, http("0+50x90", "0+20x90", "0+20x90"), "70m"),
    # One of five requests in an hour, at night.
    silent(AVAILABILITY, http("0x30 1x20 4x60", "0x40 1x60"), "70m"),
    silent(AVAILABILITY, {}, "70m"),
    fires(
        LATENCY,
        searches("0+100x90", "0+80x90"),
        "70m",
        {"window": "1h", "severity": "page"},
        {"window": "6h", "severity": "page"},
        {"window": "1d"},
    ),
    fires(LATENCY, searches("0+1000x400", "0+985x400"), "250m", {"window": "3d"}),
    silent(LATENCY, searches("0+1000x400", "0+992x400"), "250m"),
    # Ten slow searches in a day.
    silent(LATENCY, searches("0x1440 10x60", "0x1500"), "1450m"),
    fires("CrossrayAbsent", {}, "6m", {"application": "crossray"}, severity="page"),
    fires("CrossrayAbsent", {STATUS % "Encoder": "6x5 stale"}, "12m", {"application": "crossray"}, severity="page"),
    silent("CrossrayAbsent", {STATUS % "Encoder": "6x20"}, "6m"),
    fires(
        "CrossrayReplicaUnhealthy",
        {STATUS % "Encoder": "6x5 2x5", STATUS % "Retriever": "6x10"},
        "8m",
        {"deployment": "Encoder"},
        severity="page",
    ),
    fires("CrossrayReplicaUnhealthy", {STATUS % "Encoder": "1x10"}, "5m", {"deployment": "Encoder"}, severity="page"),
    silent("CrossrayReplicaUnhealthy", {STATUS % "Encoder": "6 3x10", STATUS % "Retriever": "6x10"}, "8m"),
    silent("CrossrayReplicaUnhealthy", {STATUS % "Encoder": "6x5 2 6x5"}, "7m"),
    # A replica is killed: its series begins with that.
    fires(
        "CrossrayReplicaLost",
        {CHECKS % ("Encoder", "a"): "_x6 1x10", CHECKS % ("Retriever", "b"): "1x20"},
        "8m",
        {"deployment": "Encoder"},
    ),
    # It is one more of those that died before.
    fires(
        "CrossrayReplicaLost",
        {CHECKS % ("Retriever", "a"): "1x20", CHECKS % ("Retriever", "b"): "_x12 1x8"},
        "14m",
        {"deployment": "Retriever"},
    ),
    silent("CrossrayReplicaLost", {CHECKS % ("Retriever", "a"): "_x6 1x20"}, "18m"),
    # The controller itself restarted, and forgot them.
    silent("CrossrayReplicaLost", {CHECKS % ("Encoder", "a"): "1x10 stale", CHECKS % ("Encoder", "b"): "1x20"}, "12m"),
    fires(
        "CrossrayQueueGrows",
        {QUEUE % "interactive": "0 900x20", TOKENS: "0+6000x20"},
        "10m",
        {"kind": "encoder", "model": "m", "lane": "interactive", "severity": "page"},
    ),
    # Nothing is computed at all: a device that hangs.
    fires(
        "CrossrayQueueGrows",
        {QUEUE % "interactive": "0 64x20", TOKENS: "6000x20"},
        "10m",
        {"kind": "encoder", "model": "m", "lane": "interactive", "severity": "page"},
    ),
    fires(
        "CrossrayQueueGrows",
        {QUEUE % "bulk": "200000x60", TOKENS: "0+6000x60"},
        "45m",
        {"kind": "encoder", "model": "m", "lane": "bulk"},
    ),
    silent(
        "CrossrayQueueGrows", {QUEUE % "interactive": "300x60", QUEUE % "bulk": "100000x60", TOKENS: "0+6000x60"}, "45m"
    ),
    silent("CrossrayQueueGrows", {QUEUE % "interactive": "0x60", TOKENS: "100x60"}, "45m"),
    fires(
        "CrossrayOverloaded",
        {'ray_crossray_rejected_requests_total{reason="overloaded"}': "0+5x30", SEARCHES: "0+100x30"},
        "20m",
    ),
    silent(
        "CrossrayOverloaded",
        {'ray_crossray_rejected_requests_total{reason="overloaded"}': "0+5x30", SEARCHES: "0+1000x30"},
        "20m",
    ),
    silent(
        "CrossrayOverloaded",
        {'ray_crossray_rejected_requests_total{reason="body_too_large"}': "0+50x30", SEARCHES: "0+100x30"},
        "20m",
    ),
    fires(
        "CrossrayCacheFails",
        {
            'ray_crossray_cache_errors_total{operation="get"}': "0+5x40",
            'ray_crossray_cache_errors_total{operation="skip"}': "0+50x40",
        },
        "25m",
        {"operation": "get"},
    ),
    silent(
        "CrossrayCacheFails",
        {
            'ray_crossray_cache_errors_total{operation="get"}': "0 1x40",
            'ray_crossray_cache_errors_total{operation="drop"}': "0+5x40",
        },
        "25m",
    ),
    fires("CrossrayJobItemsDead", {'ray_crossray_job_attempts_total{state="dead"}': "0x5 1x20"}, "8m"),
    silent(
        "CrossrayJobItemsDead",
        {
            'ray_crossray_job_attempts_total{state="dead"}': "3x60",
            'ray_crossray_job_attempts_total{state="failed"}': "0+5x60",
        },
        "30m",
    ),
    fires(
        "CrossrayJobsWait",
        {"ray_crossray_job_oldest_pending_seconds": "3600+60x30", "ray_crossray_job_items_due": "7x30"},
        "20m",
    ),
    silent(
        "CrossrayJobsWait",
        {"ray_crossray_job_oldest_pending_seconds": "600x30", "ray_crossray_job_items_due": "7x30"},
        "20m",
    ),
    # What waits is an attempt's pause, or a cancelled job's.
    silent(
        "CrossrayJobsWait",
        {"ray_crossray_job_oldest_pending_seconds": "7200x30", "ray_crossray_job_items_due": "0x30"},
        "20m",
    ),
    fires("CrossrayRunFailed", {'crossray_run_succeeded{command="index"}': "0x5"}, "1m", {"command": "index"}),
    silent("CrossrayRunFailed", {'crossray_run_succeeded{command="index"}': "1x5"}, "1m"),
    fires(
        "CrossrayCanaryRecallLow",
        {'ray_crossray_canary_recall{collection="a"}': "0.9x30", 'ray_crossray_canary_recall{collection="b"}': "1x30"},
        "20m",
        {"collection": "a"},
    ),
    silent("CrossrayCanaryRecallLow", {'ray_crossray_canary_recall{collection="a"}': "1x10 0.9x5 0.99x20"}, "28m"),
    fires(
        "CrossrayIndexNotReady",
        {'ray_crossray_index_ready{collection="a"}': "1 0x10"},
        "5m",
        {"collection": "a"},
        severity="page",
    ),
    silent(
        "CrossrayIndexNotReady",
        {
            'ray_crossray_index_ready{collection="a", WorkerId="x"}': "0x10",
            'ray_crossray_index_ready{collection="a", WorkerId="y"}': "1x10",
        },
        "5m",
    ),
    fires(
        "CrossrayMilvusBreakerOpen",
        {'ray_crossray_index_breaker_open{collection="a"}': "0 1x10"},
        "4m",
        {"collection": "a"},
        severity="page",
    ),
    silent("CrossrayMilvusBreakerOpen", {'ray_crossray_index_breaker_open{collection="a"}': "0x10"}, "4m"),
    fires(
        "CrossrayDataVolumeFull",
        {DATA % "free": "2x20", DATA % "used": "98x20"},
        "10m",
        {"instance": "a", "severity": "page"},
        {"instance": "a"},
    ),
    fires("CrossrayDataVolumeFull", {DATA % "free": "8x20", DATA % "used": "92x20"}, "10m", {"instance": "a"}),
    silent("CrossrayDataVolumeFull", {DATA % "free": "20x20", DATA % "used": "80x20"}, "10m"),
    fires(
        "CrossrayOutOfMemorySplits",
        {'ray_crossray_oom_splits_total{kind="encoder", model="m"}': "0x5 1x40"},
        "10m",
        {"kind": "encoder", "model": "m"},
    ),
    silent("CrossrayOutOfMemorySplits", {'ray_crossray_oom_splits_total{kind="encoder", model="m"}': "4x60"}, "50m"),
)
