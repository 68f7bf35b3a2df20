"""A Ray node of its own on this machine, as a pod would be: its network, its processes, its /dev/shm, its folder.

Its processes are in a PID namespace, so that a kill takes all of them at the same moment, and a head that starts anew
does not meet what other nodes of this machine run. Needs Linux and root.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from loadtests.lan import LanNode

RAY = str(Path(sys.executable).with_name("ray"))
SHM_BYTES = 512 << 20


class RayNode:
    """`ray start --block` in a network namespace; what it is started with stays the same from start to start."""

    def __init__(
        self,
        name: str,
        net: LanNode,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        session: Path,
    ) -> None:
        """`folder` is this node's alone, and what it finds at `session`, where all nodes must have Ray's folder."""
        self.name = name
        self.address = net.address
        self._net = net
        self._arguments = arguments
        self._environment = dict(environment)
        self._folder = folder
        self._session = session
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        session.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Returns at once. Call it from a thread that lives on: the node ends with it."""
        inside = [
            f"mount --bind {shlex.quote(str(self._folder))} {shlex.quote(str(self._session))}",
            f"mount -t tmpfs -o size={SHM_BYTES} tmpfs /dev/shm",
            shlex.join(["exec", RAY, "start", "--block", f"--node-ip-address={self.address}", *self._arguments]),
        ]
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sh", "-c", " && ".join(inside)]
        with (self._folder / "start.log").open("ab") as log:
            self._process = self._net.popen(
                alone, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """SIGKILL to every process of the node, all at once; its folder stays."""
        if self._process is not None:
            with contextlib.suppress(psutil.Error):  # the first of a PID namespace takes all others with it
                for first in psutil.Process(self._process.pid).children():
                    first.kill()
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def last_words(self) -> str:
        """The end of what `ray start` printed."""
        return (self._folder / "start.log").read_text(errors="replace")[-2000:]

    def copy_logs(self, folder: Path) -> None:
        """Of Ray and Serve, and what `ray start` printed."""
        (folder / self.name).mkdir(parents=True, exist_ok=True)
        for logs in self._folder.glob("session_2*/logs"):
            with contextlib.suppress(shutil.Error):  # the node may still write, and turn files over
                shutil.copytree(logs, folder / self.name, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        shutil.copy(self._folder / "start.log", folder / self.name)

    def processes(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._process.pid).children(recursive=True)
        return found

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas that run on this node."""
        # While it works, the name of the method follows.
        titles = re.compile(rf"ray::ServeReplica:crossray:{re.escape(deployment)}(\.\w+)?")
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if titles.fullmatch("".join(process.cmdline()[:1])):
                    found.append(process)
        return found


def node_environment(root: Path, home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What a container of ours has, and nothing of this process's Ray or Crossray."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{root}:{root / 'clients' / 'python'}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **settings,
    }
