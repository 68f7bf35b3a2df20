"""Clients that write and search until they are told to stop, and remember what became of each request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.system.clusters import Cluster

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
