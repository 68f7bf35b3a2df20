"""What a process that answers requests knows of the catalog: a copy that is at most VIEW_S old."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from deployments.catalog.builds import touch
from deployments.catalog.catalog import Catalog, unknown_collection
from deployments.catalog.versions import SWAP_S, VIEW_S, Collection
from deployments.coalescer import Coalescer
from deployments.errors import Unavailable

POLL_S = 0.05
PATIENCE_S = 0.2
"""For the database, of whoever can do with what was read before."""
log = logging.getLogger(__name__)


class VersionGone(Unavailable):
    """The version was dropped, or is not there yet where it was asked for: look again which one is live."""


class Moved(VersionGone):
    """The write went to a version that is no longer live, and is to be done again."""


class CatalogView:
    """Collections by name; and the writers' part of the protocol in `deployments.catalog`. For one event loop."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._collections: dict[str, Collection] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._touching: dict[tuple[str, int], Coalescer[Sequence[str], str]] = {}

    async def collections(self, *, at_most_s: float = VIEW_S, or_older: bool = False) -> dict[str, Collection]:
        """All of them. `or_older` takes what was read before where the database does not answer, or not at once.

        Raises Unavailable.
        """
        age_s = time.monotonic() - self._read_at
        if age_s > at_most_s:
            has_older = or_older and bool(self._collections)
            try:
                await asyncio.wait_for(self.refresh(), PATIENCE_S if has_older else None)
            except (Unavailable, TimeoutError):
                if not has_older:
                    raise
                log.warning("collections are as they were %.0f s ago: the database does not answer", age_s)
        elif age_s > at_most_s / 2:
            self._read_in_background()
        return self._collections

    async def collection(self, name: str, *, or_older: bool = False) -> Collection:
        """Raises NotFound, Unavailable."""
        found = (await self.collections(or_older=or_older)).get(name)
        if found is None:  # made elsewhere a moment ago, perhaps
            found = (await self.collections(at_most_s=0.0, or_older=or_older)).get(name)
        if found is None:
            raise unknown_collection(name)
        return found

    async def refresh(self) -> None:
        """Reads the catalog, from now on and not from before. Callers share a reading that began after their call."""
        if self._reading is not None:
            await asyncio.wait([self._reading])
        self._read_in_background()
        assert self._reading is not None
        await asyncio.shield(self._reading)

    def _read_in_background(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _read(self) -> None:
        began = time.monotonic()
        self._collections = await asyncio.to_thread(self._catalog.collections)
        self._read_at = began

    async def pass_swap(self, collection: str) -> None:
        """Before a write: waits while a version takes over, SWAP_S at the most."""
        deadline = time.monotonic() + SWAP_S
        while (build := (await self.collection(collection)).build) is not None and build.state == "swapping":
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(POLL_S)
            await self.refresh()

    async def written(self, collection: str, version: int, items: Sequence[str]) -> None:
        """After a write, before it is acknowledged. Raises Moved, VersionGone, Unavailable."""
        known = await self.collection(collection)
        is_young = time.monotonic() - self._read_at <= VIEW_S  # it may have been long under way to us
        if is_young and known.live.id == version and known.build is None:
            return
        key = (collection, version)
        if key not in self._touching:
            self._touching[key] = Coalescer(lambda batch: self._touch(key, batch), max_items=256)
        became = await self._touching[key](items)
        if became != "kept":
            await self.refresh()
            raise (Moved if became == "moved" else VersionGone)(
                f"version {version} of {collection} is not live any more"
            )

    async def _touch(self, key: tuple[str, int], batch: list[Sequence[str]]) -> list[str]:
        items = [item for group in batch for item in group]
        became = await asyncio.to_thread(touch, self._catalog, *key, items)
        return [became] * len(batch)
