"""The API behind an HAProxy, in a network of its own: the tests of `test_api_over_http`, with a key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import psutil
import pytest

from loadtests.network_namespace import missing_for_networks
from loadtests.private_network import PrivateNetwork
from tests.requirements import lacks
from tests.system.clusters import Cluster, crossray, is_ready, started, wait_until
from tests.system.conftest import SHARED
from tests.system.test_api_over_http import (
    test_a_bad_input_is_refused_and_leaves_nothing,
    test_a_client_that_goes_away_leaves_the_server_well,
    test_a_full_queue_of_a_replica_is_a_429,
    test_a_large_image_passes_between_replicas,
    test_an_id_that_is_no_id_is_replaced,
    test_large_answers_pass_between_replicas,
    test_one_id_finds_a_request_in_every_process,
    test_the_main_job,
)

__all__ = [
    "test_a_bad_input_is_refused_and_leaves_nothing",
    "test_a_client_that_goes_away_leaves_the_server_well",
    "test_a_full_queue_of_a_replica_is_a_429",
    "test_a_large_image_passes_between_replicas",
    "test_an_id_that_is_no_id_is_replaced",
    "test_large_answers_pass_between_replicas",
    "test_one_id_finds_a_request_in_every_process",
    "test_the_main_job",
]
pytestmark = pytest.mark.root


def haproxies() -> set[psutil.Process]:
    return {process for process in psutil.process_iter(["name"]) if process.info["name"] == "haproxy"}


@pytest.fixture(scope="module")
def throughput_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The profile `throughput`, which keeps nothing to loopback, where only this machine reaches it."""
    if reason := missing_for_networks():
        lacks(reason)
    before, network = haproxies(), PrivateNetwork()
    try:
        cluster = Cluster(
            tmp_path_factory.mktemp("throughput"),
            SHARED,
            profile="throughput",
            host=network.address,
            behind=network.entering,
        )
        made = crossray("keys", "create", "--name", "tests", "--scope", "admin", "--json", env=cluster.env)
        assert made.returncode == 0, made.stderr
        cluster.headers["Authorization"] = f"Bearer {json.loads(made.stdout)['key']}"
        with started(cluster):
            assert haproxies() > before
            yield cluster
        assert haproxies() <= before, "an HAProxy outlived its cluster"
    finally:
        network.close()


@pytest.fixture
def cluster(throughput_cluster: Cluster) -> Cluster:
    wait_until(lambda: is_ready(throughput_cluster), "the cluster is ready")
    return throughput_cluster


def test_without_a_key_nothing_is_answered(cluster: Cluster) -> None:
    with httpx.Client(base_url=cluster.url, trust_env=False) as http:
        assert http.get("/health/ready").status_code == 200
        assert http.post("/v1/search", json={"text": "red"}).status_code == 401
