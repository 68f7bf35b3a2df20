"""Talking to Milvus: opening a Lite file or a server, and calling it so that no caller waits for what will not come.

Every call has a deadline. A call that found the server away is tried again within it, after pauses of random length;
all that this package calls may be done twice, upserts and deletes being by id. When calls fail in a row a circuit
breaker refuses the next ones at once.

pymilvus's blocking client runs in threads. Its AsyncMilvusClient (3.0.2) was tried beside it on a server with 20,000
rows and from 1 to 32 callers: it answered as many searches a second within the noise, takes as much of the processor,
and takes it on the event loop, where decoding one large answer keeps every other caller waiting. It also belongs to
one event loop, and a `VectorIndex` does not.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from retrieval.durable import OwnerLock, make_folder
from retrieval.errors import IndexFault, IndexUnavailable
from retrieval.milvus.breaker import FAILURES, CircuitBreaker
from retrieval.milvus.driver import load_client
from retrieval.milvus.failures import named

T = TypeVar("T")
THREADS = 16
"""They mostly wait; a call that none is left for waits too."""
CONNECT_S = 2.0
"""For a connection alone: pymilvus makes a new one whenever a call finds the old one broken, and calls wait for it."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and how to speak to it."""

    uri: str
    """`http://host:19530`, `https://…` for TLS, with a database's name as the path where it is not the default one."""
    token: str = ""
    """`user:password` or an API key."""
    ca_file: Path | None = None
    """The certificates that may sign the server's, as PEM; by default those that gRPC brings."""
    server_name: str = ""
    """What the certificate must be for, where it is not the host in the URI."""


class Deadline:
    """When a call has to be over, for all the requests that it takes."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Above 0, for a request that comes too late is refused as one that took too long."""
        return max(0.001, self._end - time.monotonic())


class MilvusConnection:
    """A `pymilvus.MilvusClient` that is called off the event loop, with a deadline on every call."""

    def __init__(self, at: Path | Address, deadline_s: float, breaker: CircuitBreaker | None = None) -> None:
        """A path is a folder for a Lite file and its lock.

        Raises MissingExtra, IndexLocked, IndexUnavailable.
        """
        self.deadline_s = deadline_s
        self.is_file = isinstance(at, Path)
        self.where = str(at / "milvus.db") if isinstance(at, Path) else at.uri
        # Lite's server is in this process: what fails there is the call's fault, and no reason to refuse another.
        self._breaker = breaker or CircuitBreaker(failures=sys.maxsize if self.is_file else FAILURES)
        self._lock: OwnerLock | None = None
        if isinstance(at, Path):
            make_folder(at)
            self._lock = OwnerLock(at / "LOCK", owned=at)
        try:
            self.client: Any = self._connect(at)
        except BaseException:
            self._unlock()
            raise
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="milvus")
        self._closed = False

    def _connect(self, at: Path | Address) -> Any:
        client = load_client(with_lite=self.is_file)
        options: dict[str, str | bool] = {}
        if isinstance(at, Address):
            tls = {"server_pem_path": str(at.ca_file or ""), "server_name": at.server_name}
            options |= {"token": at.token} | {name: value for name, value in tls.items() if value}
            # pymilvus shares a connection between clients of one address and token, whatever else they ask for.
            options["dedicated"] = True
        return self._named(lambda: client(self.where, timeout=min(CONNECT_S, self.deadline_s), **options))

    async def run(self, work: Callable[[Deadline], T]) -> T:
        """Runs `work`, which is given when to be over, in a thread, and again where the server is away.

        Raises IndexUnavailable: after the deadline, at once while the breaker is open, and after `close`.
        """
        if self._closed:
            raise IndexUnavailable(f"the index at {self.where} is closed")
        self._refuse_if_open()
        deadline = Deadline(self.deadline_s)
        pause_s = FIRST_PAUSE_S
        has_failed = False
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, self._attempt, work, deadline)
            except IndexUnavailable as error:
                if not has_failed:  # one call counts once, however often it is tried: the others may fare better
                    self._breaker.failed()
                has_failed = True
                # Of random length, so that callers who failed together do not come back together.
                sleep_s = random.uniform(0, pause_s)  # noqa: S311
                if self._breaker.state != "closed" or sleep_s >= deadline.left_s:
                    raise error from None
            await asyncio.sleep(sleep_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    @property
    def breaker_open(self) -> bool | None:
        """Whether calls are refused unasked; None for a Lite file, whose server is in this process."""
        return None if self.is_file else self._breaker.state != "closed"

    def _refuse_if_open(self) -> None:
        left_s = self._breaker.admit()
        if left_s is not None:
            raise IndexUnavailable(
                f"Milvus at {self.where} did not answer several times in a row: it is tried again in {left_s:.1f} s",
                retry_after_s=left_s,
            )

    def _attempt(self, work: Callable[[Deadline], T], deadline: Deadline) -> T:
        try:
            result = self._named(lambda: work(deadline))
        except IndexFault:  # a refusal is an answer; any other error is not the server's
            self._breaker.succeeded()
            raise
        self._breaker.succeeded()
        return result

    def _named(self, work: Callable[[], T]) -> T:
        """Turns the client's errors into ours, one line each."""
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            return work()
        except (MilvusException, RpcError) as error:
            raise named(error, self.where) from None

    def open(self, work: Callable[[], T]) -> T:
        """Runs what opening an index takes, in this thread, with its own deadlines and errors named."""
        return self._named(work)

    def close(self) -> None:
        """Blocks until running calls have ended. Calling it twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown()
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        try:
            self.client.close()
        except (MilvusException, RpcError) as error:
            logging.getLogger(__name__).debug("Milvus at %s: %s", self.where, named(error, self.where))
        if self.is_file:
            # Closing the client leaves the server thread, which holds the file's lock.
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(self.where)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
