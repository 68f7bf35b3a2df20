"""locust against a real cluster: users, workers of a distributed run, the gate both ways, what is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx

from cluster.ports import free_port
from loadtests.slo import DELETE, SEARCH_IMAGE, SEARCH_TEXT, UPLOAD
from tests.system.clusters import START_S, Cluster

ROOT = Path(__file__).parents[2]
LAX = [f"--slo-{kind}-p99-ms=60000" for kind in ("text", "image", "upload")]


def load_test(cluster: Cluster, output: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "loadtests.load_test", "--host", cluster.url, "--output", str(output)]
    return subprocess.Popen([*command, *arguments], cwd=ROOT, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def test_the_gate_lets_a_good_run_pass_and_fails_a_slow_one(
    cluster: Cluster, http: httpx.Client, tmp_path: Path
) -> None:
    """Side by side, as each takes a few seconds to start: four users of two workers who do everything, and one who
    searches under a limit that nobody can keep."""
    stored = http.get("/v1/items", params={"limit": 1}).json()["count"]
    port = str(free_port())
    workers = ["--processes", "2", "--master-bind-port", port, "--master-port", port]
    mixed = load_test(cluster, tmp_path / "good", "-u", "4", "-t", "4s", "--pace", "8", "--keep", "1", *LAX, *workers)
    late = ["--slo-text-p99-ms", "0.5", "TextSearcher"]
    slow = load_test(cluster, tmp_path / "slow", "-u", "1", "-t", "3s", "--pace", "10", *late)
    said = {one: one.communicate(timeout=START_S)[1] for one in (mixed, slow)}

    assert (mixed.returncode, slow.returncode) == (0, 1), said
    assert "all objectives were met" in said[mixed]
    assert "SLO NOT MET\n  search by text: p99 is" in said[slow]
    assert "(--slo-text-p99-ms)" in said[slow]

    good, bad = (json.loads((tmp_path / name / "report.json").read_text()) for name in ("good", "slow"))
    assert {SEARCH_TEXT, SEARCH_IMAGE, UPLOAD, DELETE} <= set(good["requests"])
    assert all(row["failed"] == 0 and row["shed"] == 0 for row in good["requests"].values())
    assert good["not_met"] == []
    assert set(bad["requests"]) == {SEARCH_TEXT}
    assert len(bad["not_met"]) == 1
    assert sum(window["requests"][SEARCH_TEXT]["per_s"] > 0 for window in bad["timeline"]) >= 1
    assert all((tmp_path / "good" / name).stat().st_size > 0 for name in ("report.html", "run_stats.csv"))
    assert http.get("/v1/items", params={"limit": 1}).json()["count"] == stored, "uploads were left behind"
