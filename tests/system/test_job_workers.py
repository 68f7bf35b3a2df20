"""Workers of jobs in a real cluster: one is killed while it works, and every item of the job is stored all the same."""

from __future__ import annotations

from tests.system.clusters import Cluster, wait_until

ITEMS = 500


def test_a_worker_is_killed(working_cluster: Cluster) -> None:
    cluster = working_cluster
    assert cluster.replica("IngestWorker") is None
    with cluster.http() as http:
        body = {"id": "kill", "items": [{"text": f"text {n}"} for n in range(ITEMS)], "tags": ["killed"]}
        assert http.post("/v1/jobs", json=body).status_code == 202
        wait_until(lambda: http.get("/v1/jobs/kill").json()["counts"]["done"] >= 50, "the work has begun")
        victim = cluster.replica("IngestWorker")
        assert victim is not None
        victim.kill()
        assert http.get("/v1/jobs/kill").json()["state"] == "running", "it was done before the kill"
        wait_until(lambda: http.get("/v1/jobs/kill").json()["finished_at"] is not None, "the job has ended")
        job = http.get("/v1/jobs/kill").json()
        assert (job["state"], job["counts"]["done"]) == ("done", ITEMS)
        assert http.get("/v1/items", params={"limit": 1}).json()["count"] == ITEMS
