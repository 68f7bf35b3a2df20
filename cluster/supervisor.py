"""The process behind `crossray up`: starts Ray and the application, waits, and takes both down.

Ray's processes are its children and end with it, also when it is killed.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from cluster.environment import ray_environment
from cluster.errors import ClusterError
from cluster.keys import require_keys
from cluster.local_cluster import StartError, gcs_address, start_app, start_ray, stop
from cluster.page import page_line
from cluster.ports import free_port
from cluster.runfile import RunFile, read_runfile, remove_runfile, write_runfile
from cluster.settings import Settings, load_settings
from retrieval.durable import OwnerLock, make_folder
from retrieval.errors import IndexLocked

READY_TIMEOUT_S = 300
TEMPORARY = "crossray-up-"
METRICS_HOST = "127.0.0.1"
"""Ray's processes keep to the loopback interface."""
FAULT_MARK = "crossray up: "
"""Begins the line of the log that says why it did not start."""
log = logging.getLogger(__name__)


def require_free(settings: Settings) -> None:
    """Raises StartError when the data folder or the port is taken."""
    running = read_runfile(settings.data_dir)
    if running is not None and running.pid != os.getpid():
        raise StartError(f"already running at {running.url} (pid {running.pid}): crossray down")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http.host, settings.http.port))
        except OSError as error:
            raise StartError(
                f"{settings.http.host}:{settings.http.port} is taken ({error.strerror}): "
                "choose another with --port, or CROSSRAY_HTTP__PORT"
            ) from error


def url_of(settings: Settings) -> str:
    return f"http://{settings.http.host}:{settings.http.port}"


def run(
    settings: Settings,
    *,
    log_path: str = "",
    announce: Callable[[str], None] = print,
    on_ready: Callable[[RunFile], None] = lambda _: None,
) -> None:
    """Start, announce each step, serve until SIGINT or SIGTERM, stop. Raises StartError, NoKeys."""
    require_free(settings)
    require_keys(settings)
    with _owning(settings.data_dir):
        _serve(settings, log_path, announce, on_ready)


@contextmanager
def _owning(data_dir: Path) -> Iterator[None]:
    """Holds the data folder, so that of two that start at once one is told. The kernel frees it with the process."""
    make_folder(data_dir)
    try:
        lock = OwnerLock(data_dir / "run.lock", owned=data_dir)
    except IndexLocked as error:
        raise StartError(f"already running or starting: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _serve(
    settings: Settings, log_path: str, announce: Callable[[str], None], on_ready: Callable[[RunFile], None]
) -> None:
    stopping = threading.Event()
    _stop_on_signals(stopping)

    metrics_port = settings.ray.metrics_port or free_port(settings.http.host)

    def note(state: str, ray_address: str = "") -> RunFile:
        me = psutil.Process()
        where = (url_of(settings), settings.profile, str(settings.data_dir), log_path)
        metrics_url = f"http://{METRICS_HOST}:{metrics_port}/metrics"
        noted = RunFile(me.pid, me.create_time(), *where, state, ray_address, metrics_url)
        write_runfile(settings.data_dir, noted)
        return noted

    note("starting")
    _sweep()
    temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-"))
    is_serving = False
    try:
        os.environ.update(ray_environment(settings))
        announce("starting Ray")
        start_ray(settings, temporary, metrics_port)
        _stop_on_signals(stopping)  # again: Ray puts a handler of its own in place, which ends the process at once
        if not stopping.is_set():
            announce(f"starting the {settings.encoder.name} encoder and the {settings.index.backend} index")
            start_app(settings)
            _wait_ready(settings, stopping)
        if not stopping.is_set():
            ready = note("ready", gcs_address())
            announce(f"ready at {ready.url}")
            on_ready(ready)
            announce(page_line(settings))
        is_serving = not stopping.is_set()
        stopping.wait()
        announce("stopping")
    finally:
        stop(drains=is_serving)
        remove_runfile(settings.data_dir)
        shutil.rmtree(temporary, ignore_errors=True)


def _stop_on_signals(stopping: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())


def _sweep() -> None:
    """Removes what supervisors that were killed left in the temporary folder: Ray's logs and sockets."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*-*"):
        pid = folder.name.removeprefix(TEMPORARY).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _wait_ready(settings: Settings, stopping: threading.Event) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    detail = ""
    with httpx.Client(base_url=url_of(settings), timeout=10, trust_env=False) as client:
        while time.monotonic() < deadline and not stopping.is_set():
            try:
                answer = client.get("/health/ready")
                if answer.status_code == 200:
                    return
                detail = answer.text
            except httpx.HTTPError as error:
                detail = str(error)
            stopping.wait(0.2)
    if not stopping.is_set():
        raise StartError(f"not ready within {READY_TIMEOUT_S} s: {detail}")


def main() -> None:
    """`python -m cluster.supervisor`: what `crossray up --detach` runs in a session of its own."""
    parser = argparse.ArgumentParser(description="Run a Crossray cluster until told to stop.")
    parser.add_argument("--profile")
    parser.add_argument("--log", default="")
    arguments = parser.parse_args()
    try:
        run(load_settings(arguments.profile), log_path=arguments.log)
    except (ClusterError, ValueError) as error:
        sys.exit(f"{FAULT_MARK}{' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
