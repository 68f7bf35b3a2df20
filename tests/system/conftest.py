"""Real clusters. Everything here is marked `system`: it takes minutes and is run by `make test-system`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.system.clusters import Cluster, is_ready, started, wait_until
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl

HERE = Path(__file__).parent
SHARED = {
    "CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.02}',
    "CROSSRAY_ENCODER__MAX_BATCH_SIZE": "8",
    "CROSSRAY_ENCODER__MAX_QUEUED": "32",
    "CROSSRAY_LOGS__LEVEL": "INFO",
    "CROSSRAY_CANARY__INTERVAL_S": "5",
    "RAY_metrics_report_interval_ms": "1000",
}
"""Settings of a cluster with the fake encoder, 20 ms of work and short queues."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder, gives each the time that a cold start on a busy machine takes, and keeps those
    together that share a cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.xdist_group(_cluster_of(item)))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(600))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Raises pytest.UsageError where pytest-xdist did not group: two workers would start each of the clusters."""
    if session.config.getoption("loadgroup", False) and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("pytest-xdist does not group the tests: is this pytest too new for it?")


def _cluster_of(item: pytest.Item) -> str:
    """The name of the fixture that is its cluster, or where it starts its own."""
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    shared = [name for name in fixtures if name.endswith("_cluster")]
    return shared[0] if shared else str(item.path)


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests that leave it well: the fake encoder with 20 ms of work, short queues."""
    with started(Cluster(tmp_path_factory.mktemp("cluster"), SHARED)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def working_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One for what the shared cluster has not: OCR, a second encoder under load, and workers of jobs, none while there
    is nothing to do, with leases that run out soon."""
    settings = {
        "CROSSRAY_OCR__ENABLED": "true",
        "CROSSRAY_JOBS__WORKER": "replicas",
        "CROSSRAY_JOBS__SCALE__MAX_REPLICAS": "1",
        "CROSSRAY_JOBS__LEASE_S": "2",
        "CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.1}',
        "CROSSRAY_ENCODER__MAX_BATCH_SIZE": "2",
        "CROSSRAY_ENCODER__SCALE__MAX_REPLICAS": "2",
        "CROSSRAY_ENCODER__SCALE__NUM_CPUS": "0.2",
        "CROSSRAY_ENCODER__SCALE__CONTROL_S": "1",
        "CROSSRAY_ENCODER__SCALE__SHRINK_AFTER_S": "2",
        "CROSSRAY_ENCODER__DRAIN__START_S": "40",  # an order outlives seconds in which a busy machine brings little
        "CROSSRAY_ENCODER__DRAIN__DRAIN_S": "1",
    }
    with started(Cluster(tmp_path_factory.mktemp("working"), settings)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def drowsy_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One whose encoder takes long enough for requests to gather, however slow this machine is, and whose reranker has
    no replica until it is asked for."""
    root = tmp_path_factory.mktemp("drowsy")
    reranker = build_tiny_qwen3_vl(root / "tiny-reranker", "reranker")
    settings = {
        "CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.25}',
        "CROSSRAY_ENCODER__MAX_BATCH_SIZE": "8",
        "CROSSRAY_RERANK__ENABLED": "true",
        "CROSSRAY_RERANK__OPTIONS": json.dumps({"model": str(reranker)}),
        "CROSSRAY_RERANK__SCALE": json.dumps({"min_replicas": 0, "max_replicas": 1, "num_cpus": 0.1}),
    }
    with started(Cluster(root / "cluster", settings)) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """The shared cluster, ready again whatever an earlier test did to it."""
    wait_until(lambda: is_ready(shared_cluster), "the shared cluster is ready")
    return shared_cluster


@pytest.fixture
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.http() as client:
        yield client
