"""`up`, `down` and Ctrl-C: what they leave behind, and what a restart keeps."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.system.clusters import Cluster, crossray, end, is_ready, wait_until


def is_bound(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def existing(cluster: Cluster, ids: list[str]) -> list[str]:
    with cluster.http() as http:
        answer: list[str] = http.post("/v1/items/lookup", json={"ids": ids}).json()["existing"]
    return answer


@pytest.mark.timeout(900)  # three cold starts
def test_a_life_beside_another_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Up, down, up, killed, up in the foreground, Ctrl-C. The shared cluster runs all the while."""
    mine = Cluster(tmp_path)
    ids = [f"kept-{number}" for number in range(50)]
    processes: list[psutil.Process] = []
    try:
        # RAY_ADDRESS names some other cluster: ours must not join it.
        up = mine.up(RAY_ADDRESS="127.0.0.1:1")
        assert up.returncode == 0, up.stderr
        assert json.loads(up.stdout) == {k: v for k, v in mine.status().items() if k != "health"}
        assert (json.loads(up.stdout)["url"], json.loads(up.stdout)["state"]) == (mine.url, "ready")
        processes = mine.processes()
        with mine.http() as http:
            items = [{"id": id, "text": f"item {id}"} for id in ids]
            assert http.post("/v1/items", json={"items": items}).status_code == 200
        assert is_ready(cluster), "two clusters run side by side"

        assert mine.down().returncode == 0
        assert_gone(mine, processes)
        assert mine.down().stdout.strip().endswith("}"), "down twice is fine"
        status = crossray("status", "--json", env=mine.env)
        assert status.returncode == 1

        assert mine.up().returncode == 0
        processes = mine.processes()
        assert existing(mine, ids) == ids
        mine.supervisor().kill()
        assert_gone(mine, processes, "after its supervisor was killed")

        foreground = in_foreground(mine)
        processes = mine.processes()
        assert existing(mine, ids) == ids
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(60) in (0, 130)
        assert_gone(mine, processes)
    finally:
        end(processes)
    assert is_ready(cluster)


def in_foreground(cluster: Cluster) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cluster.cli", "up", "--profile", "local"]
    process = subprocess.Popen(command, env=cluster.env, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: process.poll() is not None or is_ready(cluster), 180, "ready in the foreground")
    assert process.poll() is None
    return process


def assert_gone(cluster: Cluster, processes: list[psutil.Process], when: str = "after down") -> None:
    _, left = psutil.wait_procs(processes, timeout=20)
    # Ray's two agents look for their raylet once a minute; they serve nothing, and end then.
    agents = set() if when == "after down" else {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
    assert [process.name() for process in left if process.name() not in agents] == [], f"left {when}"
    assert not is_bound(cluster.port)
    assert not cluster.run_file().exists() or when != "after down"


def test_an_encoder_that_cannot_load_is_told_in_one_line(tmp_path: Path) -> None:
    mine = Cluster(tmp_path, {"CROSSRAY_ENCODER__NAME": "starter", "CROSSRAY_ENCODER__OPTIONS": '{"nonesuch": 1}'})
    up = mine.up()
    processes = mine.processes() if mine.run_file().exists() else []
    end(processes)
    assert up.returncode == 1
    last = up.stderr.strip().splitlines()[-1]
    assert "nonesuch" in last
    assert "Traceback" not in up.stderr
    assert len(last) < 600
    assert processes == [], "what did not start is not left running"
    assert not is_bound(mine.port)


def test_two_ups_at_once_leave_one_cluster(tmp_path: Path) -> None:
    mine = Cluster(tmp_path)
    command = [sys.executable, "-m", "cluster.cli", "up", "--detach", "--profile", "local"]
    ups = [
        subprocess.Popen(
            command, env=mine.env | {"CROSSRAY_HTTP__PORT": str(mine.port + n)}, stderr=subprocess.PIPE, text=True
        )
        for n in range(2)
    ]
    try:
        said = [up.communicate(timeout=180)[1] for up in ups]
        assert sorted(up.returncode for up in ups) == [0, 1], said
        refused = said[[up.returncode for up in ups].index(1)]
        assert "already running" in refused or "in use" in refused
        assert mine.status()["health"]["status"] == "ok"
    finally:
        processes = mine.processes() if mine.run_file().exists() else []
        mine.down()
        _, left = psutil.wait_procs(processes, timeout=15)
        end(left)
    assert left == []
    assert os.listdir(mine.data_dir)  # noqa: PTH208 - the data stays
