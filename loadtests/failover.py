"""A client of several nodes that serve the same, behaving as one does behind a load balancer such as a kube Service.

- It keeps one connection to one node, and sends its next request when the last was answered.
- A connection that a node refuses, or does not take within a second, goes to the next node at once: nothing was sent.
- What was sent and not answered (the connection ends, a 5xx) has failed. It is never sent again; the next request
  goes to the next node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from loadtests.load import Answer, Connection, LoadError

CONNECT_S = 1.0
ANSWER_S = 30.0
PAUSE_S = 0.05
"""Before all nodes are tried again."""


class Failed(Exception):
    """A request was sent, and not answered with a 2xx."""

    def __init__(self, what: str) -> None:
        super().__init__(what)


class FailoverClient:
    """Begins with the node `first` of `urls`."""

    def __init__(self, urls: Sequence[str], first: int) -> None:
        self._urls = urls
        self._at = first % len(urls)
        self._connection: Connection | None = None

    async def send(self, request: bytes) -> Answer:
        """Raises Failed; TimeoutError where no node takes a connection for ANSWER_S seconds."""
        if self._connection is None:
            async with asyncio.timeout(ANSWER_S):
                self._connection = await self._connect()
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._connection.exchange(request)
        except (OSError, EOFError, LoadError) as error:
            await self.close()
            self._at += 1
            raise Failed(str(error) or repr(error)) from error
        if answer.headers.get("connection") == "close":
            await self.close()
        if answer.status // 100 != 2:
            await self.close()
            self._at += answer.status >= 500
            raise Failed(f"{answer.status} {answer.body[:200].decode(errors='replace')}")
        return answer

    async def close(self) -> None:
        """Calling it twice is fine."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                await connection.close()

    async def _connect(self) -> Connection:
        while True:
            for _ in self._urls:
                with contextlib.suppress(OSError):  # a TimeoutError is one
                    async with asyncio.timeout(CONNECT_S):
                        return await Connection.open(self._urls[self._at % len(self._urls)])
                self._at += 1
            await asyncio.sleep(PAUSE_S)
