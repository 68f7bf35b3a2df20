"""Ray and the application in this process's charge: their start, why they did not start, and their end."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

from cluster.errors import ClusterError
from cluster.page import page_runs
from cluster.ports import free_port
from cluster.settings import Settings
from retrieval.durable import make_folder

DRAIN_S = 15.0
PAGE_STREAM_S = 3600.0
"""The page tells of work under way by streams that last as long, which Serve would cut; the API has its own limit."""
KEEP_LOGS_S = 7 * 86400.0
RAY_GAVE_UP = "timed out during startup"
TOO_SLOW = "Ray gave its node up, as it does after 15 s without its agents: try again when less else runs"
"""Measured on two busy cores: the raylet ends in silence while its agents still import Python. It has no setting."""
log = logging.getLogger(__name__)


class StartError(ClusterError):
    """The cluster could not start; the message says why and what to do."""


def start_ray(settings: Settings, temporary: Path, metrics_port: int) -> None:
    """Raises StartError where Ray's node is not up in time."""
    import ray

    try:
        ray.init(
            address="local",  # never another cluster that RAY_ADDRESS or a file under /tmp names
            num_cpus=settings.ray.num_cpus,  # type: ignore[arg-type]
            object_store_memory=settings.ray.object_store_bytes,
            include_dashboard=settings.ray.dashboard,
            _metrics_export_port=metrics_port,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            runtime_env={"worker_process_setup_hook": "cluster.loopback.mend_sockets"},
            _temp_dir=str(temporary),
        )
    except Exception as error:  # it is of no class of its own
        if RAY_GAVE_UP not in str(error):
            raise
        raise StartError(TOO_SLOW) from error


def gcs_address() -> str:
    import ray

    address: str = ray.get_runtime_context().gcs_address
    return address


def start_app(settings: Settings) -> None:
    from ray import serve
    from ray.serve.schema import LoggingConfig as ServeLogging

    from cluster.app import build_app

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    direct = settings.ray.ingress == "direct"
    port = free_port(settings.http.host) if direct else settings.http.port
    logging_config = ServeLogging(**settings.logs.for_serve(_log_folder(settings)))
    serve.start(
        http_options={
            "host": settings.http.host,
            "port": port,
            "request_timeout_s": PAGE_STREAM_S if page_runs(settings) else settings.http.request_timeout_s + 5,
        },
        logging_config=logging_config,
    )
    try:
        serve.run(build_app(settings), name="crossray", route_prefix="/", logging_config=logging_config)
    except RuntimeError as error:
        raise StartError(_deployment_fault() or str(error)) from error


def _log_folder(settings: Settings) -> Path:
    """Where replicas log; it outlives Ray's own folder, and what is old in it goes."""
    folder = settings.data_dir / "logs"
    make_folder(folder)
    for path in folder.iterdir():
        if path.is_file() and time.time() - path.stat().st_mtime > KEEP_LOGS_S:
            path.unlink(missing_ok=True)
    return folder


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


def stop(*, drains: bool) -> None:
    if "ray" not in sys.modules:
        return
    import ray

    if ray.is_initialized():
        try:
            asyncio.run(_stop_serving(drains=drains))
        finally:
            ray.shutdown()


async def _stop_serving(*, drains: bool) -> None:
    """With `drains`, requests under way end before the deployments that they need do."""
    from ray import serve

    if drains:
        try:
            async with asyncio.timeout(DRAIN_S + 5):
                left = await serve.get_deployment_handle("Ingress", "crossray").drain.remote(DRAIN_S)
            if left:
                log.warning("%d requests were still under way after %g s", left, DRAIN_S)
        except Exception:  # whatever keeps it from draining must not keep it from stopping
            log.exception("the requests under way were not waited for")
    await serve.shutdown_async()  # type: ignore[no-untyped-call]
