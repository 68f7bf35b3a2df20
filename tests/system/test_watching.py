"""What watches a cluster finds there what it looks for: every metric of a rule or a dashboard is in a scrape."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from cluster.monitoring.dashboards import DASHBOARDS
from deployments import metrics as own
from tests.system.clusters import Cluster, wait_until
from tests.system.prometheus import scraping

NOT_HERE = {
    own.DEVICE_MEMORY.exported: "there is no GPU",
    own.BREAKER_OPEN.exported: "the index is embedded, and has no server",
    own.OCR_PAGES.exported: "OCR is off",
    f"{own.OCR_SECONDS.exported}_bucket": "OCR is off",
    own.RUN_SUCCEEDED.exported: "a command writes it, to a file",
}
"""And nothing else may be missing."""


def named(expr: str) -> set[str]:
    """The metrics in it, but for what rules record."""
    return set(re.findall(r"\b(?:ray_\w+|crossray_run_\w+)", expr))


def test_every_metric_that_is_looked_for_is_scraped(cluster: Cluster, http: httpx.Client, tmp_path: Path) -> None:
    http.post("/v1/items", json={"id": "watched", "text": "watched"})
    assert http.get("/nowhere").status_code == 404
    retriever = cluster.replica("Retriever")
    assert retriever is not None
    panels = [panel for board in DASHBOARDS for panel in board.content()["panels"]]
    shown = set().union(*(named(target["expr"]) for panel in panels for target in panel.get("targets", ())))
    with scraping(cluster.metrics_url, tmp_path) as prometheus:

        def is_missed() -> bool:
            alerts = [one["labels"] for one in prometheus.alerts()]
            return ("CrossrayReplicaLost", "Retriever") in {(one["alertname"], one.get("deployment")) for one in alerts}

        retriever.kill()
        wait_until(is_missed, "the alert of a lost retriever")
        wanted = shown.union(*(named(rule["query"]) for rule in prometheus.rules()))
        missing: set[str] = set()

        def all_there() -> bool:
            nonlocal missing
            http.post("/v1/search", json={"text": "watched"})
            missing = wanted - prometheus.names()
            return missing <= set(NOT_HERE) and all(rule["health"] == "ok" for rule in prometheus.rules())

        try:
            wait_until(all_there, "every metric and every rule")
        finally:
            assert missing <= set(NOT_HERE), f"not scraped: {sorted(missing - set(NOT_HERE))}"
        assert missing == set(NOT_HERE), "what is there after all needs no excuse"
        recorded = {rule["name"] for rule in prometheus.rules() if rule["type"] == "recording"}
        wait_until(lambda: recorded <= prometheus.names(), "every rule has recorded something")
        for name in ("availability", "search_latency"):
            assert prometheus.value(f"crossray:{name}_requests:rate5m") > 0, "what was asked meanwhile"
