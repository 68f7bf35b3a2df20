"""Reindexing on a real cluster, with the command a person types, beside uploads and searches; and with its builder
killed."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.system.clusters import Cluster, crossray, is_ready, wait_until
from tests.system.test_faults import load_on


def states(http: httpx.Client) -> dict[int, str]:
    versions = http.get("/v1/collections/default").json()["versions"]
    return {version["id"]: version["state"] for version in versions}


def folders(cluster: Cluster) -> list[str]:
    return sorted(path.name for path in (cluster.data_dir / "embedded").iterdir())


def require_all(http: httpx.Client, ids: list[str]) -> None:
    for start in range(0, len(ids), 1000):
        part = ids[start : start + 1000]
        assert http.post("/v1/items/lookup", json={"ids": part}).json()["existing"] == part


def test_reindex_under_load_loses_and_refuses_nothing(cluster: Cluster, http: httpx.Client) -> None:
    before = states(http)
    with load_on(cluster, "reindex") as load:
        wait_until(lambda: len(load.acknowledged) >= 20, "writes before the build")
        done = crossray("reindex", "--index-type", "flat", "--no-keep", "--json", env=cluster.env)
        assert done.returncode == 0, done.stderr
        after = len(load.acknowledged)
        wait_until(lambda: len(load.acknowledged) >= after + 20, "writes after the swap")
    assert (load.refused, load.dropped) == ([], [])
    version = json.loads(done.stdout)
    assert (version["state"], version["build"]["recall"]) == ("live", 1.0)
    assert version["build"]["agreement"] > 0.5  # notes that tie are other notes, and some were just written
    require_all(http, load.acknowledged)
    wait_until(lambda: set(states(http)) == {version["id"]}, "the version before is dropped")
    assert not set(before) & set(states(http))
    wait_until(lambda: len(folders(cluster)) == 1, "and its folder is gone")


def test_a_builder_that_is_killed_is_taken_up_and_an_abort_leaves_nothing(cluster: Cluster, http: httpx.Client) -> None:
    kept, live = folders(cluster), states(http)
    begun = http.post("/v1/collections/default/reindex", json={"index_type": "ivf-sq8"})
    assert begun.status_code == 202, begun.text
    id = begun.json()["id"]
    victim = cluster.replica("Maintenance")
    assert victim is not None
    victim.kill()
    wait_until(lambda: states(http).get(id) == "live", "another builder finishes")
    wait_until(lambda: is_ready(cluster), "all is well")
    begun = http.post("/v1/collections/default/reindex", json={"index_type": "flat", "keep": False})
    second = begun.json()["id"]
    assert http.delete(f"/v1/collections/default/versions/{second}").status_code == 200
    (first,) = live
    assert http.delete(f"/v1/collections/default/versions/{first}").status_code == 200
    wait_until(lambda: len(folders(cluster)) == 1, "what was dropped leaves no folder")
    assert states(http) == {id: "live"}
    assert not set(kept) & set(folders(cluster))
    assert not list(Path(cluster.data_dir / "embedded").glob(".*"))
