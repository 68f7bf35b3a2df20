"""SIGKILL of each replica under load: what was acknowledged is there afterwards, and the API comes back by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.system.clusters import Cluster, is_ready, wait_until

THREADS = 6


@dataclass
class Load:
    """What the clients saw. A write is acknowledged when its id was answered."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    searches: int = 0


@contextmanager
def load_on(cluster: Cluster, mark: str) -> Iterator[Load]:
    """Clients that write and search in turn until the block ends."""
    load, stopping = Load(), threading.Event()

    def client(number: int) -> None:
        with cluster.http() as http:
            count = 0
            while not stopping.is_set():
                count += 1
                id = f"{mark}-{number}-{count}"
                try:
                    stored = http.post("/v1/items", json={"id": id, "text": f"note {id}", "tags": [mark]})
                    if stored.is_success:
                        load.acknowledged.append(id)
                    else:
                        load.refused.append(f"{stored.status_code} {stored.text[:200]}")
                    found = http.post("/v1/search", json={"text": f"note {id}", "top_k": 3})
                    if found.is_success:
                        load.searches += 1
                    else:
                        load.refused.append(f"{found.status_code} {found.text[:200]}")
                except httpx.TransportError as error:
                    load.dropped.append(repr(error))
                    time.sleep(0.1)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("name", ["Encoder", "Retriever", "Ingress"])
def test_a_replica_is_killed_under_load(cluster: Cluster, name: str) -> None:
    with load_on(cluster, f"kill-{name}") as load:
        wait_until(lambda: len(load.acknowledged) >= 20, 60, "writes before the kill")
        victim = cluster.replica(name)
        assert victim is not None
        victim.kill()
        before = len(load.acknowledged)
        wait_until(lambda: cluster.replica(name) not in (None, victim), 120, f"another {name}")
        wait_until(lambda: len(load.acknowledged) >= before + 20 + THREADS, 120, "writes after the kill")
    wait_until(lambda: is_ready(cluster), 60, "ready at the same port")
    assert load.refused == []
    if name != "Ingress":
        assert load.dropped == []
    with cluster.http() as http:
        for start in range(0, len(load.acknowledged), 1000):
            ids = load.acknowledged[start : start + 1000]
            assert http.post("/v1/items/lookup", json={"ids": ids}).json()["existing"] == ids
        last = load.acknowledged[-1]
        hits = http.post("/v1/search", json={"text": f"note {last}", "top_k": 1}).json()["hits"]
        assert hits[0]["score"] == pytest.approx(1.0, abs=1e-3)
