"""Where inputs are decoded, resized and tokenised: threads, or processes so that the device never waits for the GIL."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deployments.errors import EncoderFault
from deployments.prepare_process import FAILED, AnyPreparer, PrepareProcess, ProcessDied, Spent, timed
from deployments.thread_names import PREPARE, name_this_thread
from encoders import EncoderError, Prepared

log = logging.getLogger(__name__)


class PreparePool:
    """Runs a preparer off the event loop, in `workers` threads, or in as many processes with a thread waiting at each.

    A process that dies (the kernel kills what takes too much memory) is replaced, and what it held is prepared again;
    an input that kills the second one, too, fails alone.
    """

    def __init__(self, preparer: AnyPreparer, workers: int, *, processes: bool = False) -> None:
        self._preparer = preparer
        self._in_processes = processes
        self._threads = ThreadPoolExecutor(workers, PREPARE, name_this_thread, (PREPARE,))
        self._processes: dict[int, PrepareProcess] = {}
        """By the thread that waits at it."""
        self._starting = threading.Lock()
        self._closed = False

    async def prepare(self, *given: Any) -> tuple[Prepared | EncoderError, Spent]:
        """What the preparer makes of its arguments, or the error that is its own; and the seconds it took."""
        return await self._run("__call__", *given)

    async def prepare_query(self, *given: Any) -> tuple[Any, Spent]:
        """As `prepare`, of the query that a reranker's pairs have in common."""
        return await self._run("query", *given)

    def close(self) -> None:
        """Does not wait; what is under way in a process ends with it."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._starting:
            self._closed = True
            for process in list(self._processes.values()):
                process.kill()

    async def _run(self, step: str, *given: Any) -> tuple[Any, Spent]:
        # By its name: a bound method would carry the whole preparer to the process.
        loop = asyncio.get_running_loop()
        if self._in_processes:
            return await loop.run_in_executor(self._threads, self._in_process, step, *given)
        return await loop.run_in_executor(self._threads, timed, self._preparer, step, *given)

    def _in_process(self, step: str, *given: Any) -> tuple[Any, Spent]:
        for _ in range(2):
            try:
                return self._own_process()(step, *given)
            except ProcessDied as error:
                self._processes.pop(threading.get_ident())
                log.warning("a process that prepares inputs died: %s", error)
        log.error("an input killed two processes that prepared it")
        return EncoderFault(FAILED), Spent()

    def _own_process(self) -> PrepareProcess:
        """This thread's, started where there is none."""
        me = threading.get_ident()
        with self._starting:
            if self._closed:
                raise RuntimeError("this pool is closed")
            if me not in self._processes:
                self._processes[me] = PrepareProcess(self._preparer)
            return self._processes[me]
