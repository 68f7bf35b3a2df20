"""Concurrent requests become few, full batches on a real cluster. Counted, never timed."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from loadtests.load import LoadReport, closed_loop, json_request
from tests.system.clusters import Cluster

BATCH = 8
CLIENTS = 16
REQUESTS = 96


def send(url: str, path: str, *, clients: int, requests: int) -> LoadReport:
    """`requests` calls with a new text each, by `clients` at once."""
    numbers = count()

    def make(_: int) -> bytes:
        words = f"{path}, {clients} clients, number {next(numbers)}"  # never what the cache has seen
        return json_request(path, {"text": words} if path == "/v1/items" else {"input": words})

    return asyncio.run(closed_loop(url, make, clients=clients, seconds=120, most=requests))


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/items"], ids=["interactive lane", "bulk lane"])
def test_concurrent_requests_share_batches(drowsy_cluster: Cluster, path: str) -> None:
    sizes = send(drowsy_cluster.url, path, clients=CLIENTS, requests=REQUESTS).batch_sizes()
    assert sum(sizes) == REQUESTS
    assert max(sizes) == BATCH, f"sixteen clients fill batches of eight: {sizes}"
    assert len(sizes) <= 2 * REQUESTS / BATCH, f"most batches are at least half full: {sizes}"


def test_one_client_gets_a_batch_of_its_own(drowsy_cluster: Cluster) -> None:
    assert send(drowsy_cluster.url, "/v1/embeddings", clients=1, requests=4).batch_sizes() == [1, 1, 1, 1]
