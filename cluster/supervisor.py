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
from cluster.page import page_line, page_runs
from cluster.runfile import RunFile, read_runfile, remove_runfile, write_runfile
from cluster.settings import Settings, load_settings
from retrieval.durable import OwnerLock, make_folder
from retrieval.errors import IndexLocked

READY_TIMEOUT_S = 300
PAGE_STREAM_S = 3600.0
"""The page tells of work under way by streams that last as long, which Serve would cut; the API has its own limit."""
TEMPORARY = "crossray-up-"
FAULT_MARK = "crossray up: "
"""Begins the line of the log that says why it did not start."""
log = logging.getLogger(__name__)


class StartError(ClusterError):
    """The cluster could not start; the message says why and what to do."""


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


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
    """Start, announce each step, serve until SIGINT or SIGTERM, stop. Raises StartError."""
    require_free(settings)
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())

    def note(state: str) -> RunFile:
        me = psutil.Process()
        noted = RunFile(
            me.pid, me.create_time(), url_of(settings), settings.profile, str(settings.data_dir), log_path, state
        )
        write_runfile(settings.data_dir, noted)
        return noted

    note("starting")
    _sweep()
    temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-"))
    try:
        os.environ.update(ray_environment(settings))
        announce("starting Ray")
        _start_ray(settings, temporary)
        if not stopping.is_set():
            announce(f"starting the {settings.encoder.name} encoder and the {settings.index.backend} index")
            _start_app(settings)
            _wait_ready(settings, stopping)
        if not stopping.is_set():
            ready = note("ready")
            announce(f"ready at {ready.url}")
            on_ready(ready)
            announce(page_line(settings))
        stopping.wait()
        announce("stopping")
    finally:
        _stop()
        remove_runfile(settings.data_dir)
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep() -> None:
    """Removes what supervisors that were killed left in the temporary folder: Ray's logs and sockets."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*-*"):
        pid = folder.name.removeprefix(TEMPORARY).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _start_ray(settings: Settings, temporary: Path) -> None:
    import ray

    ray.init(
        address="local",  # never another cluster that RAY_ADDRESS or a file under /tmp names
        num_cpus=settings.ray.num_cpus,  # type: ignore[arg-type]
        object_store_memory=settings.ray.object_store_bytes,
        include_dashboard=settings.ray.dashboard,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
        runtime_env={"worker_process_setup_hook": "cluster.loopback.mend_sockets"},
        _temp_dir=str(temporary),
    )


def _start_app(settings: Settings) -> None:
    from ray import serve
    from ray.serve.schema import LoggingConfig

    from cluster.app import build_app

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    direct = settings.ray.ingress == "direct"
    port = free_port(settings.http.host) if direct else settings.http.port
    quiet = LoggingConfig(enable_access_log=False, log_level="WARNING")
    serve.start(
        http_options={
            "host": settings.http.host,
            "port": port,
            "request_timeout_s": PAGE_STREAM_S if page_runs(settings) else settings.http.request_timeout_s + 5,
        },
        logging_config=quiet,
    )
    try:
        serve.run(build_app(settings), name="crossray", route_prefix="/", logging_config=quiet)
    except RuntimeError as error:
        raise StartError(_deployment_fault() or str(error)) from error


def _deployment_fault() -> str:
    """What each deployment that did not start said last, in one line; the whole goes to the log."""
    from ray import serve

    faults = []
    for app in serve.status().applications.values():
        for name, deployment in app.deployments.items():
            if deployment.status.value == "DEPLOY_FAILED" and deployment.message:
                log.error("the %s did not start:\n%s", name, deployment.message)
                faults.append(f"the {name} did not start: {last_words(deployment.message)}")
    return "; ".join(faults)


def last_words(trace: str) -> str:
    """The exception at the end of a stack trace, without the frames before it, in one line."""
    lines = trace.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  ")]
    return " ".join(lines[frames[-1] + 1 :] if frames and frames[-1] + 1 < len(lines) else lines[-1:])


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


def _stop() -> None:
    if "ray" not in sys.modules:
        return
    import ray
    from ray import serve

    if ray.is_initialized():
        try:
            serve.shutdown()
        finally:
            ray.shutdown()


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
