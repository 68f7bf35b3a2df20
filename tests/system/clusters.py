"""A real cluster, started and stopped with the commands that a person types, in a home of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from cluster.local_cluster import TOO_SLOW
from cluster.ports import free_port

START_S = 300
"""Ray starts in seconds on an idle machine; tests share theirs with others."""
STARTS = 4
EVENTUALLY_S = 240
"""What is to happen soon has happened by then on any machine. No test is of how long it takes."""


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Nobody else on this machine is inside: two clusters that start at once take longer than Ray gives its node, 30 s,
    on few cores."""
    with Path(tempfile.gettempdir(), f"crossray-tests-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def crossray(
    *arguments: str, env: dict[str, str], timeout_s: float = START_S, behind: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, `behind` another that runs it."""
    command = [*behind, sys.executable, "-m", "cluster.cli", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout_s, check=False)


@dataclass
class Cluster:
    """A data folder, a port, and the commands over them. The fake encoder, unless `settings` says otherwise."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)
    profile: str = "local"
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    """Where it is reached from here."""
    behind: Sequence[str] = ()
    """What its commands are run by."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of every request."""

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        home = self.root / "home"
        home.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSRAY_", "RAY_"))}
        return inherited | {
            "HOME": str(home),
            "CROSSRAY_DATA_DIR": str(self.data_dir),
            "CROSSRAY_HTTP__PORT": str(self.port),
            "CROSSRAY_ENCODER__NAME": "fake",
            "CROSSRAY_PAGE__ENABLED": "false",
            "CROSSRAY_RAY__CONTROL_LOOP_S": "0.1",  # starts and stops sooner
            **self.settings,
        }

    def up(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Again where Ray gave up, which is a matter of what else the machine does."""
        options = ("--detach", "--profile", self.profile, "--json")
        with alone("start"):
            for _ in range(STARTS):
                done = crossray("up", *options, env=self.env | settings, behind=self.behind)
                if TOO_SLOW not in done.stderr:
                    break
        return done

    def down(self) -> subprocess.CompletedProcess[str]:
        return crossray("down", "--json", env=self.env, behind=self.behind)

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(crossray("status", "--json", env=self.env).stdout)
        return answer

    def http(self, timeout_s: float = 60) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=timeout_s, trust_env=False, headers=self.headers)

    def run_file(self) -> Path:
        return self.data_dir / "run.json"

    @property
    def metrics_url(self) -> str:
        """What a Prometheus scrapes."""
        return str(json.loads(self.run_file().read_text())["metrics_url"])

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels, as they are exported now."""
        with httpx.Client(timeout=10, trust_env=False) as http:
            lines = http.get(self.metrics_url).text.splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        own = (line for line in lines if line.startswith(name + "{") and all(one in line for one in wanted))
        return sum(float(line.rpartition(" ")[2]) for line in own)

    def supervisor(self) -> psutil.Process:
        return psutil.Process(json.loads(self.run_file().read_text())["pid"])

    def processes(self) -> list[psutil.Process]:
        """The supervisor and everything under it."""
        supervisor = self.supervisor()
        return [supervisor, *supervisor.children(recursive=True)]

    def replica(self, name: str) -> psutil.Process | None:
        """The process of a deployment's only replica, None while there is none."""
        for process in self.processes():
            try:
                if process.cmdline()[:1] == [f"ray::ServeReplica:crossray:{name}"]:
                    return process
            except psutil.Error:
                continue
        return None

    def media_files(self) -> list[str]:
        """The addresses of all files, of those derived from images too: each is there only with its image."""
        files = (path.name for path in (self.data_dir / "media").rglob("*") if path.is_file())
        return sorted({name.partition(".")[0] for name in files})


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Polls; raises AssertionError naming `what` in the end."""
    deadline = time.monotonic() + EVENTUALLY_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {EVENTUALLY_S} s: {what}"
        time.sleep(0.1)


def is_ready(cluster: Cluster) -> bool:
    try:
        with cluster.http(5) as http:
            return http.get("/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def end(processes: list[psutil.Process]) -> None:
    """Kills what a failed test left: these very processes, which psutil tells by pid and start time."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=60)


@contextmanager
def started(cluster: Cluster) -> Iterator[Cluster]:
    """A running cluster, stopped at the end; what survives that is a failure."""
    up = cluster.up()
    assert up.returncode == 0, up.stderr
    processes = cluster.processes()
    try:
        yield cluster
        processes = cluster.processes()
    finally:
        down = cluster.down()
        _, left = psutil.wait_procs(processes, timeout=60)
        end(left)
    assert down.returncode == 0, down.stderr
    assert left == [], "processes outlived crossray down"
    assert "SIGTERM received" not in (cluster.data_dir / "crossray.log").read_text(), "it was ended, and did not stop"
