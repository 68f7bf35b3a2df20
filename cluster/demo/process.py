"""A cluster of the demo's own: started and stopped through the same commands that a person would type."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.client import PATIENT, Client
from cluster.errors import ClusterError
from cluster.ports import free_port
from cluster.runfile import read_runfile


@contextmanager
def running_cluster(profile: str, data_dir: Path) -> Iterator[Client]:
    """A client of a fresh cluster with an empty `data_dir`. It is stopped when the block ends, however it ends.

    Raises ClusterError when it does not start; the reason is on stderr.
    """
    # What an earlier demo left behind, still running where it was killed: its folder is the demo's own.
    _down(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)
    data_dir.mkdir(parents=True)
    try:
        port = str(free_port())
        command = _command("up", "--detach", "--profile", profile, "--port", port, "--data-dir", str(data_dir))
        if _finish(command) != 0:
            raise ClusterError(f"the cluster did not start: see {data_dir / 'crossray.log'}, and try  crossray doctor")
        run = read_runfile(data_dir)
        if run is None:
            raise ClusterError(f"the cluster stopped right after its start: see {data_dir / 'crossray.log'}")
        with Client(run.url, retry=PATIENT) as client:
            yield client
    finally:
        _down(data_dir)


def _finish(command: list[str]) -> int:
    """Runs `up` to its end, and passes Ctrl-C on to it once: it then stops what it was starting."""
    process = subprocess.Popen(command, env=_environment(), start_new_session=True)  # noqa: S603 - our own module
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def _down(data_dir: Path) -> None:
    if read_runfile(data_dir) is not None:
        subprocess.run(_command("down", "--data-dir", str(data_dir)), env=_environment(), check=True)  # noqa: S603


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cluster.cli", *arguments]


def _environment() -> dict[str, str]:
    """Ours, without what would point the commands at another cluster than the demo's."""
    return {name: value for name, value in os.environ.items() if name != "CROSSRAY_URL"}
