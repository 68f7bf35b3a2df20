"""A redis-server of our own, on a loopback port unless told otherwise.

Without persistence: what it held is gone when it is killed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from cluster.ports import free_port

START_S = 20


def missing_for_redis() -> str | None:
    """What keeps this machine from running one, as a sentence with what to do; None where nothing does."""
    return None if shutil.which("redis-server") else "no redis-server: apt-get install redis-server"


class RedisServer:
    """One server. `url` stays the same from start to start."""

    def __init__(self, folder: Path, password: str = "", host: str = "127.0.0.1") -> None:
        """`host` is the one address that it listens at. Raises RuntimeError where the machine does not have what it
        needs."""
        if reason := missing_for_redis():
            raise RuntimeError(reason)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._host, self._port = host, free_port(host)
        self._password = password
        self.address = f"{host}:{self._port}"
        self.url = f"redis://{f':{password}@' if password else ''}{self.address}/0"

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when the server listens."""
        options = {
            "port": self._port,
            "bind": self._host,
            "dir": self._folder,
            "save": "",
            "requirepass": self._password,
        }
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(shutil.which("redis-server")), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection((self._host, self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def signal(self, number: int) -> None:
        """SIGSTOP and SIGCONT are a server that hangs, and goes on."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """By SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
