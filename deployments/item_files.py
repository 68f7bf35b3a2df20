"""The image files that items name: each lives as long as an item names it, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from deployments.errors import CrossrayError
from deployments.id_locks import IdLocks
from deployments.ports import IndexPort
from encoders.images import ImageLimits, thumbnail
from retrieval import MediaStore, RetrievalError, parse_filter
from retrieval.errors import IndexUnavailable, StorageFull

THUMBNAIL_PX = 256
log = logging.getLogger(__name__)


class ItemFiles:
    """A media store, and the rows that name its files."""

    def __init__(self, media: MediaStore, index: IndexPort, limits: ImageLimits, *, sole_writer: bool) -> None:
        """`sole_writer` says that nobody else writes items: only then may a file be removed, because who adds an item
        that names it does so inside `stored` here."""
        self._media = media
        self._index = index
        self._limits = limits
        self._sole_writer = sole_writer
        self._locks = IdLocks()

    def exists(self, address: str) -> bool:
        return self._media.exists(address)

    @contextlib.asynccontextmanager
    async def stored(self, image: bytes) -> AsyncIterator[None]:
        """The file is on disk; the row that names it is written inside. A row that was refused takes it along.

        Raises StorageFull.
        """
        address = self._media.address(image)
        async with self._locks.held([address]):
            await asyncio.to_thread(self._media.put, image)
            try:
                yield
            except RetrievalError as error:
                if not isinstance(error, IndexUnavailable):  # which may have written the row after all
                    await self._remove_unnamed(address)
                raise

    async def release(self, address: str) -> None:
        """An item that named the file does so no more: without another that does, the file goes. Never raises for what
        index or disk do: the item's own change is done."""
        async with self._locks.held([address]):
            await self._remove_unnamed(address)

    async def read(self, address: str) -> bytes | None:
        """None where the file is gone."""
        return await asyncio.to_thread(self._media.get, address)

    async def thumbnail(self, address: str) -> bytes | None:
        """A small JPEG, made when it is first asked for; None where the file is gone."""
        name = f"thumbnail-{THUMBNAIL_PX}.jpg"
        cached = await asyncio.to_thread(self._media.get_derived, address, name)
        if cached is not None:
            return cached
        data = await self.read(address)
        if data is None:
            return None
        small = await asyncio.to_thread(thumbnail, data, self._limits, THUMBNAIL_PX)
        async with self._locks.held([address]):
            if self._media.exists(address):
                with contextlib.suppress(StorageFull):  # a full disk costs the cache, not the answer
                    await asyncio.to_thread(self._media.put_derived, address, name, small)
        return small

    async def _remove_unnamed(self, address: str) -> None:
        if not self._sole_writer:
            return
        try:
            if await self._index.count(parse_filter({"field": "media", "op": "eq", "value": address})) == 0:
                await asyncio.to_thread(self._media.delete, address)
        except (CrossrayError, RetrievalError, OSError):
            log.warning("the file %s stays, although no item may name it", address, exc_info=True)
