"""SIGKILL of each replica under load: what was acknowledged is there afterwards, and the API comes back by itself."""

from __future__ import annotations

import httpx
import pytest

from cluster.monitoring.serve_metrics import FAILED_CHECKS
from deployments.metrics import RETRIES
from tests.system.clients import THREADS, load_on
from tests.system.clusters import Cluster, is_ready, wait_until


def ids_of(http: httpx.Client) -> list[str]:
    """Of all items that are stored, as a walk finds them."""
    ids: list[str] = []
    after: str | None = ""
    while after is not None:
        page = http.get("/v1/items", params={"after": after, "limit": 1000}).json()
        ids += [item["id"] for item in page["items"]]
        after = page["next"]
    return ids


@pytest.mark.parametrize(("name", "rounds"), [("Encoder", 1), ("Retriever", 3), ("Ingress", 1)])
def test_a_replica_is_killed_under_load(cluster: Cluster, name: str, rounds: int) -> None:
    repeated = cluster.metric(RETRIES.exported, target="encoder")
    failed = cluster.metric(FAILED_CHECKS, deployment=name)
    with load_on(cluster, f"kill-{name}") as load:
        wait_until(lambda: len(load.acknowledged) >= 20, "writes before the kill")
        for _ in range(rounds):
            victim = cluster.replica(name)
            assert victim is not None
            victim.kill()
            before = len(load.acknowledged)
            wait_until(lambda: cluster.replica(name) not in (None, victim), f"another {name}")  # noqa: B023
            wait_until(lambda: len(load.acknowledged) >= before + 20 + THREADS, "writes after the kill")  # noqa: B023
    wait_until(lambda: is_ready(cluster), "ready at the same port")
    assert load.refused == []
    if name != "Ingress":
        assert load.dropped == []
    wait_until(lambda: cluster.metric(FAILED_CHECKS, deployment=name) >= failed + rounds, "what the alert watches")
    if name == "Encoder":  # calls to it are under way all the time
        wait_until(lambda: cluster.metric(RETRIES.exported, target="encoder") > repeated, "repeated calls")
    with cluster.http() as http:
        for start in range(0, len(load.acknowledged), 1000):
            ids = load.acknowledged[start : start + 1000]
            assert http.post("/v1/items/lookup", json={"ids": ids}).json()["existing"] == ids
        walked = ids_of(http)
        assert len(walked) == len(set(walked)), "an item is there twice"
        last = load.acknowledged[-1]
        hits = http.post("/v1/search", json={"text": f"note {last}", "top_k": 1}).json()["hits"]
        assert hits[0]["score"] == pytest.approx(1.0, abs=1e-3)
