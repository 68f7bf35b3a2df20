"""Locks by item id, so that who reads an item, changes it and writes it back is not overtaken in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary


class IdLocks:
    """One lock an id; it exists while somebody holds it or waits for it. For one event loop."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, ids: Iterable[str]) -> AsyncIterator[None]:
        """All of them; taken in order, so that two callers cannot wait for each other."""
        locks = []
        for id in sorted(set(ids)):
            lock = self._locks.get(id)
            if lock is None:
                lock = self._locks[id] = asyncio.Lock()
            locks.append(lock)
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield
