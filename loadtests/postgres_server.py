"""A PostgreSQL of our own on a loopback port: started, killed, started again over the same data.

PostgreSQL does not run as root: then it runs as `postgres` or `nobody`, in a temporary folder of that user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from cluster.ports import free_port

START_S = 60


def _binary(name: str) -> Path | None:
    found = shutil.which(name)
    if found:
        return Path(found)
    return max(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), default=None)


def missing_for_postgres() -> str | None:
    """What keeps this machine from running one, as a sentence with what to do; None where nothing does."""
    return None if _binary("initdb") and _binary("postgres") else "no PostgreSQL: apt-get install postgresql"


class PostgresServer:
    """One server and its data. `url` stays the same from start to start."""

    def __init__(self) -> None:
        """Raises RuntimeError where the machine does not have what it needs."""
        if reason := missing_for_postgres():
            raise RuntimeError(reason)
        self._folder = Path(tempfile.mkdtemp(prefix="crossray-postgres-"))
        self._data = self._folder / "data"
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"postgresql+psycopg://crossray@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> PostgresServer:
        try:
            self._create()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Its data goes with it."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when the server answers."""
        options = {"port": self._port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_binary("postgres")), "-D", str(self._data), *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **self._user,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """By SIGKILL, with all of its processes: as when the machine loses them. Its data stays."""
        if self._process is not None:
            # Its backends are sessions of their own, and would hold the shared memory that the next start needs.
            self._process.send_signal(signal.SIGSTOP)
            children = psutil.Process(self._process.pid).children() if self._process.poll() is None else []
            self._process.kill()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            psutil.wait_procs(children, timeout=10)
            self._process.wait()
            self._process = None

    def _create(self) -> None:
        if "user" in self._user:
            shutil.chown(self._folder, self._user["user"])
        command = [str(_binary("initdb")), "-D", str(self._data), "-U", "crossray", "-A", "trust", "-E", "UTF8", "-N"]
        done = subprocess.run(
            [*command, "--locale=C"], cwd=self._folder, capture_output=True, text=True, check=False, **self._user
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()[-500:]}")

    def _wait_until_it_answers(self) -> None:
        import psycopg

        assert self._process is not None
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        log = (self._folder / "postgres.log").read_text(errors="replace")
        raise RuntimeError(f"PostgreSQL did not start: {log[-1000:]}")


def _user() -> dict[str, Any]:
    """Of whom its processes are, as subprocess takes it; nothing where we are not root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid}
    raise RuntimeError("no user that PostgreSQL could run as")
