"""Where inputs are decoded, resized and tokenised: threads, or processes so that the device never waits for the GIL."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
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


def _processes(preparer: AnyPreparer, workers: int) -> Executor:
    # They come from a clean server: this process holds threads, which a fork would not survive.
    return ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), _install, (preparer,))


class PreparePool:
    """Runs a preparer off the event loop, in `workers` threads or processes.

    A process that dies (the kernel kills what takes too much memory) takes the others of its pool with it. The pool is
    then made anew, and what was in it is prepared again, one by one and apart from all else: an input that kills its
    process there, too, fails alone.
    """

    def __init__(self, preparer: AnyPreparer, workers: int, *, processes: bool = False) -> None:
        self._preparer = preparer
        self._workers = workers
        self._processes = processes
        self._pool: Executor = (
            _processes(preparer, workers)
            if processes
            else ThreadPoolExecutor(workers, PREPARE, name_this_thread, (PREPARE,))
        )
        self._apart: Executor | None = None
        self._turn = asyncio.Lock()

    async def prepare(self, *given: Any) -> tuple[Prepared | EncoderError, float]:
        """What the preparer makes of its arguments, or the error that is its own; and the seconds it took."""
        return await self._run("__call__", *given)

    async def prepare_query(self, *given: Any) -> tuple[Any, float]:
        """As `prepare`, of the query that a reranker's pairs have in common."""
        return await self._run("query", *given)

    async def _run(self, step: str, *given: Any) -> tuple[Any, float]:
        # By its name: a bound method would carry the whole preparer to the process.
        loop = asyncio.get_running_loop()
        if not self._processes:
            return await loop.run_in_executor(self._pool, _timed, self._preparer, step, *given)
        pool = self._pool
        try:
            return await loop.run_in_executor(pool, _prepare_here, step, *given)
        except BrokenExecutor:
            if self._pool is pool:  # the first of those that were in it
                log.warning("a process that prepares inputs died: starting others")
                self._pool = _processes(self._preparer, self._workers)
                pool.shutdown(wait=False)
        return await self._run_apart(step, *given)

    async def _run_apart(self, step: str, *given: Any) -> tuple[Any, float]:
        async with self._turn:
            if self._apart is None:
                self._apart = _processes(self._preparer, 1)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._apart, _prepare_here, step, *given)
            except BrokenExecutor:
                self._apart.shutdown(wait=False)
                self._apart = None
                log.exception("an input killed the process that prepared it")
                return EncoderFault("preparing the input failed"), 0.0

    def close(self) -> None:
        for pool in (self._pool, self._apart):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
