"""A real Prometheus over a real cluster, on the loopback interface."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from cluster.monitoring.files import PLAIN_RULES, rendered
from cluster.ports import free_port
from tests.prometheus_tools import prometheus_tool
from tests.system.clusters import wait_until


@dataclass
class Prometheus:
    """Its HTTP API. Source: https://prometheus.io/docs/prometheus/latest/querying/api/"""

    http: httpx.Client

    def get(self, path: str, **parameters: str) -> Any:
        answer = self.http.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, expr: str) -> float:
        """Of the only result; 0 where there is none."""
        result = self.get("query", query=expr)["result"]
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else 0.0

    def names(self) -> set[str]:
        """Of all metrics that have samples."""
        return set(self.get("label/__name__/values"))

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Those that fire, and those that are about to."""
        alerts: list[dict[str, Any]] = self.get("alerts")["alerts"]
        return alerts


@contextmanager
def scraping(metrics_url: str, folder: Path) -> Iterator[Prometheus]:
    """One that scrapes a cluster every second and evaluates the rules of ours."""
    port = free_port()
    target = urlsplit(metrics_url)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "crossray", "static_configs": [{"targets": [target.netloc]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (folder / "rules.yaml").write_text(rendered()[PLAIN_RULES])
    command = [prometheus_tool("prometheus"), f"--config.file={folder / 'prometheus.yaml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as http:
            wait_until(lambda: _is_ready(http), "Prometheus is ready")
            yield Prometheus(http)
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False
