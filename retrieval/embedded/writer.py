"""Group commit: calls that wait while one transaction is flushed to disk share the next one.

One thread writes. It takes every call that waits, writes them in one transaction, lets the search structure know, and
only then lets the calls return.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from retrieval.base import Record
from retrieval.errors import IndexUnavailable, RetrievalError

MAX_ROWS_PER_COMMIT = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One call: `puts` by id, or ids to delete. `done` gets how many items were there before."""

    puts: Mapping[str, Record] = field(default_factory=dict)
    drops: Sequence[str] = ()
    done: Future[int] = field(default_factory=Future)

    @property
    def size(self) -> int:
        return len(self.puts) + len(self.drops)


class GroupWriter:
    def __init__(self, commit: Callable[[Sequence[Write]], list[int]]) -> None:
        """`commit` writes all of the calls or, raising a RetrievalError, none."""
        self._commit = commit
        self._waiting: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self._thread.start()

    async def submit(self, write: Write) -> int:
        """Returns when the call is on disk and searchable."""
        with self._closing:
            if self._closed:
                raise IndexUnavailable("the index is closed")
            self._waiting.put(write)
        # A caller that goes away does not take its write back: it may already be on disk.
        return await asyncio.shield(asyncio.wrap_future(write.done))

    def close(self) -> None:
        """Writes what waits, then ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, size = [], 0
            item = self._waiting.get()
            while item is not None:
                if item.done.set_running_or_notify_cancel():
                    batch.append(item)
                    size += item.size
                if size >= MAX_ROWS_PER_COMMIT or self._waiting.empty():
                    break
                item = self._waiting.get()
            ending = item is None
            self._settle(batch)

    def _settle(self, batch: Sequence[Write]) -> None:
        """One call's failure must not fail the others of its batch: they are tried again one by one."""
        try:
            counts = self._commit(batch) if batch else []
        except Exception as error:
            if len(batch) > 1:
                for write in batch:
                    self._settle([write])
            else:
                named = error if isinstance(error, RetrievalError) else IndexUnavailable(f"writing failed: {error!r}")
                batch[0].done.set_exception(named)
        else:
            for write, count in zip(batch, counts, strict=True):
                write.done.set_result(count)
