"""A run of `crossray index` as a Ray Data pipeline in the cluster that serves: read shards → write rows → outcomes.

Back-pressure is Ray Data's own: readers wait while the writers' queues are full, and blocks are small. This process
only counts what comes back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from cluster.bulk.leftovers import data_actors
from cluster.errors import ClusterError
from cluster.indexing.ledger import Ledger
from cluster.indexing.plan import IndexPlan
from cluster.indexing.report import IndexReport

READER_CPUS, WRITER_CPUS = 0.05, 0.1
"""Reserved, not used: the replicas reserve fractions of the same cores. Unequal, or Ray Data would fuse both into one
operator, in which a large archive is read only between two batches."""
STORE_SHARE = 0.25
"""Of the object store, which Serve's large messages need too."""


class RayIndexer:
    """One run over a plan's shards. The ledger's report is true at any moment."""

    def __init__(self, address: str, plan: IndexPlan, ledger: Ledger, cache_dir: Path) -> None:
        """`address` is of Ray's head, `host:port`."""
        self._address = address
        self._lock_path = cache_dir / "indexing" / f"{address.replace(':', '-')}.lock"
        self._plan = plan
        self._ledger = ledger

    def run(self) -> IndexReport:
        """Index all that is not done. Raises ClusterError when the cluster cannot be joined or does not go on."""
        started = time.monotonic()
        starts = [(number, self._plan.shards[number], mark) for number, mark in self._ledger.starts()]
        try:
            if starts:
                with _joined(self._address), data_actors(self._lock_path):
                    self._index(starts)
        finally:
            self._ledger.report.seconds = time.monotonic() - started
        return self._ledger.report

    def _index(self, starts: list[Any]) -> None:
        from cluster.bulk.tables import read_outcomes

        try:
            with _heard_interrupts() as was_interrupted:
                for table in self._outcomes(starts):
                    for key, outcome in read_outcomes(table):
                        self._ledger.settle(key, outcome)
                    if was_interrupted.is_set():
                        raise KeyboardInterrupt
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(f"the cluster does not go on: {_cause(error)}") from error

    def _outcomes(self, starts: list[Any]) -> Iterator[Any]:
        import ray
        from ray.data import ActorPoolStrategy

        from cluster.bulk.tasks import BLOCK_BYTES, CALLS_AN_ACTOR, ShardSource, WriteRows

        nodes = len([node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0])
        _configure(nodes, BLOCK_BYTES)
        plan = self._plan
        source = ShardSource(starts, plan.columns)
        rows = ray.data.read_datasource(
            source,
            concurrency=min(nodes, len(source.groups)),
            override_num_blocks=len(source.groups),
            num_cpus=READER_CPUS,
        )
        outcomes = rows.map_batches(
            WriteRows,
            fn_constructor_args=(plan.tags, dict(plan.metadata), plan.concurrency, plan.collection),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                size=nodes,
                max_tasks_in_flight_per_actor=2 * CALLS_AN_ACTOR,
                max_concurrent_calls_per_actor=CALLS_AN_ACTOR,
                enable_true_multi_threading=True,
            ),
            num_cpus=WRITER_CPUS,
        )
        yield from outcomes.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)


def _configure(nodes: int, block_bytes: int) -> None:
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = block_bytes
    context.execution_options.preserve_order = False
    store = ray.cluster_resources().get("object_store_memory", 0)
    context.execution_options.resource_limits = context.execution_options.resource_limits.copy(
        cpu=nodes * (READER_CPUS + WRITER_CPUS) * 2, object_store_memory=store * STORE_SHARE
    )


@contextlib.contextmanager
def _joined(address: str) -> Iterator[None]:
    """This process as a driver of the cluster. Raises ClusterError where that does not answer."""
    from cluster.environment import ray_environment
    from cluster.settings import load_settings

    # What Ray's C++ side has to say is about Ray Data's own actors, and would break the progress bar.
    os.environ.update(ray_environment(load_settings()) | {"RAY_BACKEND_LOG_LEVEL": "fatal"})
    import ray

    try:
        with _silent_stderr():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"worker_process_setup_hook": "cluster.loopback.mend_sockets"},
            )
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise ClusterError(f"Ray does not answer at {address}: {error}") from error
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    # What a raylet complains of, Ray prints on stdout, asked to or not: there it would break the report's JSON.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _heard_interrupts() -> Iterator[threading.Event]:
    """Set once Ctrl-C was pressed: where it hits a callback of Ray's or a destructor, Python drops what it raises."""
    heard = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield heard
        return
    before = signal.getsignal(signal.SIGINT)

    def hear(number: int, frame: FrameType | None) -> None:
        heard.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ side tells on stderr, in spite of its level, that it has set it."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _cause(error: Exception) -> str:
    """What was raised in the cluster, in one line: Ray's own text is a stack trace."""
    from ray.exceptions import RayTaskError

    while isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        error = error.cause
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip()
