"""What a command leaves for Prometheus: a file for node-exporter's textfile collector, since the command itself ends.

Source: https://github.com/prometheus/node_exporter#textfile-collector
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.files import write_text
from deployments.metrics import RUN_ENDED, RUN_ITEMS, RUN_SECONDS, RUN_SUCCEEDED, Metric
from encoders.extras import require


@dataclass(slots=True)
class Run:
    """How a run ended: as a failure, unless it says otherwise."""

    succeeded: bool = False
    items: Mapping[str, int] = field(default_factory=dict)
    """By what became of them."""


@contextmanager
def recorded_run(path: Path | None, command: str) -> Iterator[Run]:
    """Writes the file when the block ends, also by an exception; nothing without a path.

    Raises ClusterError for a name that no collector reads, and MissingExtra, before the block begins.
    """
    if path is not None and path.suffix != ".prom":
        raise ClusterError(f"{path}: the collector reads files whose names end in .prom")
    client = None if path is None else require("prometheus_client", "serve")
    run, started = Run(), time.monotonic()
    try:
        yield run
    finally:
        if path is not None and client is not None:
            registry = client.CollectorRegistry()

            def gauge(metric: Metric) -> Any:
                return client.Gauge(metric.name, metric.help, metric.labels, registry=registry)

            items = gauge(RUN_ITEMS)
            for outcome, count in run.items.items():
                items.labels(command, outcome).set(count)
            gauge(RUN_SECONDS).labels(command).set(time.monotonic() - started)
            gauge(RUN_ENDED).labels(command).set(time.time())
            gauge(RUN_SUCCEEDED).labels(command).set(run.succeeded)
            write_text(path, client.generate_latest(registry).decode())
