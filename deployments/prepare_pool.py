"""Where inputs are decoded, resized and tokenised: threads, or processes so that the device never waits for the GIL."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeAlias

from deployments.errors import EncoderFault
from deployments.thread_names import PREPARE, name_this_thread
from encoders import EncoderError, InputError, Prepared

AnyPreparer: TypeAlias = Callable[..., Prepared]
"""An encoder's preparer, of an input and its role, or a reranker's, of a pair."""

log = logging.getLogger(__name__)

_preparer_here: AnyPreparer | None = None


def _install(preparer: AnyPreparer) -> None:
    global _preparer_here
    _preparer_here = preparer


def _prepare_here(step: str, *given: Any) -> tuple[Any, float]:
    assert _preparer_here is not None
    return _timed(_preparer_here, step, *given)


def _timed(preparer: AnyPreparer, step: str, *given: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    try:
        prepared = getattr(preparer, step)(*given)
    except InputError as error:
        prepared = error
    except Exception as error:
        log.exception("preparing an input failed")
        prepared = EncoderFault(f"preparing the input failed: {error!r}")
    return prepared, time.perf_counter() - started


class PreparePool:
    """Runs a preparer off the event loop, in `workers` threads or processes."""

    def __init__(self, preparer: AnyPreparer, workers: int, *, processes: bool = False) -> None:
        self._preparer = preparer
        self._processes = processes
        # Processes come from a clean server: this process holds threads, which a fork would not survive.
        self._pool: Executor = (
            ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), _install, (preparer,))
            if processes
            else ThreadPoolExecutor(workers, PREPARE, name_this_thread, (PREPARE,))
        )

    async def prepare(self, *given: Any) -> tuple[Prepared | EncoderError, float]:
        """What the preparer makes of its arguments, or the error that is its own; and the seconds it took."""
        return await self._run("__call__", *given)

    async def prepare_query(self, *given: Any) -> tuple[Any, float]:
        """As `prepare`, of the query that a reranker's pairs have in common."""
        return await self._run("query", *given)

    async def _run(self, step: str, *given: Any) -> tuple[Any, float]:
        # By its name: a bound method would carry the whole preparer to the process.
        loop = asyncio.get_running_loop()
        if self._processes:
            return await loop.run_in_executor(self._pool, _prepare_here, step, *given)
        return await loop.run_in_executor(self._pool, _timed, self._preparer, step, *given)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
