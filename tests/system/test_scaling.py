"""Serve asks our policy how many encoders there are to be: one more under load, one less after it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count

import psutil

from loadtests.load import closed_loop, json_request
from tests.system.clusters import Cluster, wait_until

CLIENTS = 64


def encoders(cluster: Cluster) -> int:
    """Replicas of the encoder whose processes are there."""
    found = 0
    for process in cluster.processes():
        try:
            found += process.cmdline()[:1] == ["ray::ServeReplica:crossray:Encoder"]
        except psutil.Error:
            continue
    return found


def test_the_number_of_encoders_follows_the_load(working_cluster: Cluster) -> None:
    cluster, numbers = working_cluster, count()
    wait_until(lambda: encoders(cluster) == 1, "one encoder while there is little to do")

    def make(_: int) -> bytes:
        return json_request("/v1/embeddings", {"input": f"number {next(numbers)} of many"})

    async def load_until_there_are_two() -> None:
        load = asyncio.create_task(closed_loop(cluster.url, make, clients=CLIENTS, seconds=120))
        while not load.done() and await asyncio.to_thread(encoders, cluster) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load

    asyncio.run(load_until_there_are_two())
    assert encoders(cluster) == 2, f"more arrives than one can do: {next(numbers)} texts were sent"
    wait_until(lambda: encoders(cluster) == 1, "one encoder again")
