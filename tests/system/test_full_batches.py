"""Concurrent requests become few, full batches on a real cluster. Counted, never timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from loadtests.load import LoadReport, closed_loop, json_request
from tests.system.clusters import Cluster, started

BATCH = 8
CLIENTS = 16
REQUESTS = 96


@pytest.fixture(scope="module")
def slow_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a cluster whose encoder takes long enough for requests to gather, however slow this machine is."""
    settings = {"CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.25}', "CROSSRAY_ENCODER__MAX_BATCH_SIZE": str(BATCH)}
    root: Path = tmp_path_factory.mktemp("batching")
    with started(Cluster(root, settings)) as cluster:
        yield cluster.url


def send(url: str, path: str, *, clients: int, requests: int) -> LoadReport:
    """`requests` calls with a new text each, by `clients` at once."""
    numbers = count()

    def make(_: int) -> bytes:
        words = f"{path}, {clients} clients, number {next(numbers)}"  # never what the cache has seen
        return json_request(path, {"text": words} if path == "/v1/items" else {"input": words})

    return asyncio.run(closed_loop(url, make, clients=clients, seconds=120, most=requests))


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/items"], ids=["interactive lane", "bulk lane"])
def test_concurrent_requests_share_batches(slow_encoder: str, path: str) -> None:
    sizes = send(slow_encoder, path, clients=CLIENTS, requests=REQUESTS).batch_sizes()
    assert sum(sizes) == REQUESTS
    assert max(sizes) == BATCH, f"sixteen clients fill batches of eight: {sizes}"
    assert len(sizes) <= 2 * REQUESTS / BATCH, f"most batches are at least half full: {sizes}"


def test_one_client_gets_a_batch_of_its_own(slow_encoder: str) -> None:
    assert send(slow_encoder, "/v1/embeddings", clients=1, requests=4).batch_sizes() == [1, 1, 1, 1]
