"""Talking to Milvus: opening a Lite file or a server, running its blocking client in threads, naming its failures."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from retrieval.durable import OwnerLock, make_folder
from retrieval.errors import IndexUnavailable, MissingExtra

T = TypeVar("T")
THREADS = 4


class MilvusConnection:
    """A `pymilvus.MilvusClient` that is called off the event loop, with a deadline on every call."""

    def __init__(self, path: Path | None, uri: str | None, token: str, deadline_s: float) -> None:
        """`path` is a folder for a Lite file and its lock; else `uri` names a server.

        Raises MissingExtra, IndexLocked, IndexUnavailable.
        """
        if (path is None) == (uri is None):
            raise ValueError("give either a path (Milvus Lite) or a uri (a server)")
        self.deadline_s = deadline_s
        self.where = str(path / "milvus.db") if path is not None else str(uri)
        self.is_lite = path is not None
        self._lock: OwnerLock | None = None
        if path is not None:
            make_folder(path)
            self._lock = OwnerLock(path / "LOCK", owned=path)
        try:
            self.client: Any = self._connect(token)
        except BaseException:
            self._unlock()
            raise
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="milvus")
        self._closed = False

    def _connect(self, token: str) -> Any:
        try:
            from pymilvus import MilvusClient

            if self.is_lite:
                import milvus_lite  # noqa: F401
        except ImportError as error:
            raise MissingExtra(error.name or "pymilvus", "milvus") from error
        # They log a traceback, filter text included, for every error that they also raise.
        for name in ("pymilvus", "milvus_lite"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        with self.naming_errors():
            return MilvusClient(self.where, token=token, timeout=self.deadline_s)

    @contextlib.contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Turns the client's errors into ours, one line each."""
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, RpcError) as error:
            reason = getattr(error, "message", "") or str(error)
            raise IndexUnavailable(f"Milvus at {self.where}: {' '.join(reason.split())[:300]}") from None

    async def run(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread. Raises IndexUnavailable after `close`."""
        if self._closed:
            raise IndexUnavailable(f"the index at {self.where} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._named, work)

    def _named(self, work: Callable[[], T]) -> T:
        with self.naming_errors():
            return work()

    def close(self) -> None:
        """Blocks until running calls have ended. Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown()
        with contextlib.suppress(IndexUnavailable), self.naming_errors():
            self.client.close()
        if self.is_lite:
            # Closing the client leaves the server thread, which holds the file's lock.
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self.where)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
