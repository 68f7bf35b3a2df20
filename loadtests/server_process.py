"""Servers to measure, as children of the benchmark: a cluster, or the yardstick; and the CPU that each has used."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.ports import free_port

START_S = 180


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs, and the process all of its processes descend from."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """CPU seconds used so far, user and system, by the server's processes and those that ended under them."""
        total = 0.0
        root = psutil.Process(self.pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def threads_cpu_s(self, names: Collection[str]) -> float:
        """CPU seconds of the living threads of these names (`deployments.thread_names`), in all of the processes."""
        total = 0.0
        root = psutil.Process(self.pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                for thread in process.threads():
                    with contextlib.suppress(FileNotFoundError):
                        name = Path(f"/proc/{process.pid}/task/{thread.id}/comm").read_text().strip()
                        total += thread.user_time + thread.system_time if name in names else 0.0
        return total


@contextlib.contextmanager
def running_cluster(profile: str, settings: Mapping[str, str]) -> Iterator[ServerProcess]:
    """A cluster with an empty data folder, started and stopped by the commands that a person would type.

    `settings` are environment variables (`CROSSRAY_…`) over the profile.
    """
    with tempfile.TemporaryDirectory(prefix="crossray-bench-") as folder:
        # Mostly the API is what is measured: the web page would cost memory and idle time beside it.
        own = {"CROSSRAY_PAGE__ENABLED": "false", **settings, "CROSSRAY_DATA_DIR": f"{folder}/data"}
        environment = _without_crossray() | own

        def crossray(*arguments: str) -> str:
            command = [sys.executable, "-m", "cluster.cli", *arguments]
            return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

        try:
            crossray("up", "--detach", "--profile", profile, "--port", str(free_port()))
            state = json.loads(crossray("status", "--json"))
            yield ServerProcess(state["url"], state["pid"])
        finally:
            crossray("down")


@contextlib.contextmanager
def running_yardstick(encoder: str, options: Mapping[str, object]) -> Iterator[ServerProcess]:
    """The single-process server of `loadtests/yardstick.py`."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests.yardstick", "--encoder", encoder, "--port", str(port)]
    command += ["--options", json.dumps(dict(options))]
    process = subprocess.Popen(command, env=_without_crossray() | {"OMP_NUM_THREADS": "2"})
    try:
        _wait_for_port(process, port)
        yield ServerProcess(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _without_crossray() -> dict[str, str]:
    """This environment less the settings in it, which would change what is measured. Caches stay where they are."""
    kept = {"CROSSRAY_CACHE_DIR"}
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith("CROSSRAY_")}


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server on port {port} did not start")
