"""The settings of Crossray on two small nodes, as an operator would write them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster.settings import Settings, load_settings
from loadtests.fault_round import Backend
from loadtests.node_cluster import WORKER_LABELS

WORK_S = 0.02
"""Of the fake encoder, for a batch."""


def two_node_settings(backend: Backend, folder: Path, milvus_uri: str | None) -> Settings:
    """Two ingresses and two encoders, and two retrievers over a Milvus server or the one of an embedded index.

    That one goes to the worker while there is one: with a head it waits until Serve's controller is back, too.
    """
    one_a_node: dict[str, Any] = {"num_cpus": 0.25, "max_replicas_per_node": 1}
    index = {"num_cpus": 0.25, "preferred_labels": WORKER_LABELS}
    both = one_a_node | {"min_replicas": 2, "max_replicas": 2}
    values = {
        "data_dir": str(folder / "data"),
        "cache_dir": str(folder / "cache"),
        "http": {"host": "0.0.0.0", "scale": both | {"max_ongoing_requests": 1024}},
        "encoder": {"name": "fake", "options": {"work_s": WORK_S}, "scale": both},
        "index": {"backend": backend, "uri": milvus_uri, "scale": both if backend == "milvus" else index},
        "jobs": {"enabled": False},
        "cache": {"backend": "none"},
        "page": {"enabled": False},
        "ray": {"ingress": "proxy", "object_store_bytes": 80 << 20},
    }
    profile = folder / "two-nodes.yaml"
    profile.write_text(json.dumps(values), encoding="utf-8")  # JSON is YAML
    return load_settings(str(profile))
