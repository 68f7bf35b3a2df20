"""`up`, `down` and Ctrl-C: what they leave behind, and what a restart keeps."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.system.clients import THREADS, load_on
from tests.system.clusters import START_S, Cluster, alone, crossray, end, is_ready, wait_until


def is_bound(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def existing(cluster: Cluster, ids: list[str]) -> list[str]:
    with cluster.http() as http:
        answer: list[str] = http.post("/v1/items/lookup", json={"ids": ids}).json()["existing"]
    return answer


@pytest.mark.timeout(900)  # two cold starts
def test_a_life_beside_another_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Two ups at once, killed, up in the foreground, Ctrl-C, down. The shared cluster runs all the while."""
    mine = Cluster(tmp_path, {"CROSSRAY_ENCODER__OPTIONS": '{"work_s": 0.3}'})
    ids = [f"kept-{number}" for number in range(50)]
    processes: list[psutil.Process] = []
    try:
        assert_one_of_two_ups(mine)
        processes = mine.processes()
        with httpx.Client(base_url=mine.status()["url"], trust_env=False, timeout=60) as http:
            items = [{"id": id, "text": f"item {id}"} for id in ids]
            assert http.post("/v1/items", json={"items": items}).status_code == 200
        assert is_ready(cluster), "two clusters run side by side"
        mine.supervisor().kill()
        assert_gone(mine, processes, "after its supervisor was killed")

        foreground = in_foreground(mine)
        processes = mine.processes()
        assert existing(mine, ids) == ids
        with load_on(mine, "stop") as load:
            wait_until(lambda: len(load.acknowledged) >= 2 * THREADS, "requests are under way")
            foreground.send_signal(signal.SIGINT)
        assert foreground.wait(START_S) in (0, 130)
        assert load.dropped == [], "requests under way are answered before it stops"
        assert [one for one in load.refused if not one.startswith("503") or "stopping" not in one] == []
        assert_gone(mine, processes)
        assert mine.down().returncode == 0, "down where nothing runs is fine"
        assert crossray("status", "--json", env=mine.env).returncode == 1
        assert os.listdir(mine.data_dir)  # noqa: PTH208 - the data stays
    finally:
        end(processes)
    assert is_ready(cluster)


def assert_one_of_two_ups(mine: Cluster) -> None:
    """Of two at once one starts, and the other says why not. RAY_ADDRESS names some other cluster: ours must not
    join it."""
    command = [sys.executable, "-m", "cluster.cli", "up", "--detach", "--profile", "local", "--json"]
    with alone("start"):
        ups = [
            subprocess.Popen(
                command,
                env=mine.env | {"CROSSRAY_HTTP__PORT": str(mine.port + n), "RAY_ADDRESS": "127.0.0.1:1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for n in range(2)
        ]
        said = [up.communicate(timeout=START_S) for up in ups]
    assert sorted(up.returncode for up in ups) == [0, 1], said
    told = {up.returncode: words for up, words in zip(ups, said, strict=True)}
    assert "already running" in told[1][1] or "in use" in told[1][1]
    assert json.loads(told[0][0]) == {k: v for k, v in mine.status().items() if k != "health"}
    assert json.loads(told[0][0])["state"] == "ready"
    assert mine.status()["health"]["status"] == "ok"


def in_foreground(cluster: Cluster) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cluster.cli", "up", "--profile", "local"]
    with alone("start"):
        process = subprocess.Popen(command, env=cluster.env, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: process.poll() is not None or is_ready(cluster), "ready in the foreground")
    assert process.poll() is None
    return process


def is_agent(process: psutil.Process) -> bool:
    """Ray's two agents look for their raylet once a minute; they serve nothing, and end then."""
    try:
        return process.name() in {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}
    except psutil.NoSuchProcess:
        return False


def assert_gone(cluster: Cluster, processes: list[psutil.Process], when: str = "after down") -> None:
    awaited = processes if when == "after down" else [one for one in processes if not is_agent(one)]
    _, left = psutil.wait_procs(awaited, timeout=60)
    assert left == [], f"left {when}"
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
