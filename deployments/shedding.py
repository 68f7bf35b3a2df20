"""Refuses early what could only wait: a process takes so many requests at once, and writes stop before searches do.

The bound makes waiting short: by Little's law a request that is let in waits for the others that are under way and for
no more, so its time is at most their number over the rate at which they end. What is refused costs next to nothing, and
is told when to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from deployments.errors import Overloaded, Unavailable

ALIVE_PATH = "/health/live"
FREE_PATHS = ("/health/",)
"""An overloaded server is not a dead one, and must be able to say so."""


class Occupancy:
    """Requests under way in this process."""

    def __init__(self, most: int, most_with_bulk: int) -> None:
        """A write is let in where fewer than `most_with_bulk` requests are under way, any other where fewer than
        `most`."""
        self._most = {False: most, True: most_with_bulk}
        self._under_way = 0
        self._is_closed = False
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()

    def refusal(self, path: str, *, writes: bool) -> Overloaded | Unavailable | None:
        """Why a request is not let in; None where it is."""
        if self._is_closed and path != ALIVE_PATH:
            return Unavailable("this server is stopping; try again shortly", code="stopping")
        if path.startswith(FREE_PATHS) or self._under_way < self._most[writes]:
            return None
        return Overloaded(f"{self._under_way} requests are under way already; try again shortly")

    @contextmanager
    def taken(self) -> Iterator[None]:
        """While one is under way that was let in."""
        self._under_way += 1
        self._none_under_way.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._none_under_way.set()

    async def drain(self, within_s: float) -> int:
        """Lets nobody in any more, and waits for those under way. How many are left at the end."""
        self._is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._none_under_way.wait()
        return self._under_way
