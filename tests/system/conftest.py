"""Real clusters. Everything here is marked `system`: it takes minutes and is run by `make test-system`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.clusters import Cluster, is_ready, started, wait_until

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of this folder, and gives each the time that a cold start on a busy machine takes."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One cluster for all tests that leave it well: the fake encoder with 20 ms of work, short queues."""
    settings = {
        "CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.02}',
        "CROSSRAY_ENCODER__MAX_BATCH_SIZE": "8",
        "CROSSRAY_ENCODER__MAX_QUEUED": "32",
    }
    with started(Cluster(tmp_path_factory.mktemp("cluster"), settings)) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """The shared cluster, ready again whatever an earlier test did to it."""
    wait_until(lambda: is_ready(shared_cluster), 120, "the shared cluster is ready")
    return shared_cluster


@pytest.fixture
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.http() as client:
        yield client
