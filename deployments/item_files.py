"""The image files that items name: each lives as long as an item names it, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from deployments.errors import CrossrayError
from deployments.id_locks import IdLocks
from deployments.writers_lock import WritersLock
from encoders import InputError
from encoders.images import ImageLimits
from encoders.thumbnails import is_thumbnail, thumbnail
from retrieval import Filter, MediaStore, RetrievalError, parse_filter
from retrieval.errors import IndexUnavailable, MediaUnavailable, StorageFull

P = ParamSpec("P")
T = TypeVar("T")

THUMBNAIL_PX = 256
THUMBNAIL = f"thumbnail-{THUMBNAIL_PX}.webp"
CALLS = 32
"""Calls to the media store under way at once."""
log = logging.getLogger(__name__)


class Rows(Protocol):
    """What can be asked how many rows pass a filter: an IndexPort, or several."""

    async def count(self, filter: Filter | None = None) -> int: ...


class ItemFiles:
    """A media store, and the rows that name its files."""

    def __init__(
        self,
        media: MediaStore,
        rows: Rows,
        limits: ImageLimits,
        *,
        sole_writer: bool,
        thumbnails: bool = False,
        others: WritersLock | None = None,
    ) -> None:
        """`rows` are all that may name a file: of every version of every collection. `thumbnails` says to make them
        when a file is stored, not when they are first asked for. `sole_writer` says that nobody else writes items but
        who holds the lock `others`: only then may a file be removed, because who adds an item that names it does so
        inside `stored` here."""
        self._media = media
        self._rows = rows
        self._limits = limits
        self._sole_writer = sole_writer
        self._thumbnails = thumbnails
        self._others = others
        self._locks = IdLocks()
        # Threads of its own: a store that does not answer must not keep those that other work shares.
        self._threads = ThreadPoolExecutor(CALLS, thread_name_prefix="item-files")

    async def is_surely_new(self, address: str) -> bool:
        """Whether there is no such file; False also where to look would take longer than it is worth."""
        return self._media.is_near and not await self._run(self._media.exists, address)

    @contextlib.asynccontextmanager
    async def stored(self, address: str, image: bytes) -> AsyncIterator[None]:
        """The file is durable at its address; the row that names it is written inside. A row that was refused takes it
        along.

        Raises StorageFull, MediaUnavailable.
        """
        async with self._locks.held([address]):
            await self._run(self._media.put, image)
            making = asyncio.create_task(self._make_thumbnail(address, image)) if self._thumbnails else None
            try:
                try:
                    yield
                finally:
                    if making is not None:
                        await making
            except RetrievalError as error:
                if not isinstance(error, IndexUnavailable):  # which may have written the row after all
                    await self._remove_unnamed(address)
                raise

    async def release(self, address: str) -> bool:
        """An item that named the file does so no more: without another that does, the file goes. Never raises for what
        index or disk do: the item's own change is done.

        False where it was not decided, for an index or a disk did not answer, or another process was writing; never
        decided here is what is left to the sweep.
        """
        async with self._locks.held([address]):
            return await self._remove_unnamed(address)

    async def read(self, address: str) -> bytes | None:
        """None where the file is gone."""
        return await self._run(self._media.get, address)

    async def thumbnail(self, address: str) -> bytes | None:
        """A small WebP, made now where it was not yet, or was lost; None where the file is gone."""
        kept = await self._run(self._media.get_derived, address, THUMBNAIL)
        if kept is not None and is_thumbnail(kept):
            return kept
        data = await self.read(address)
        if data is None:
            return None
        small = await asyncio.to_thread(thumbnail, data, self._limits, THUMBNAIL_PX)
        async with self._locks.held([address]):
            if await self._run(self._media.exists, address):
                await self._keep_thumbnail(address, small)
        return small

    async def _make_thumbnail(self, address: str, image: bytes) -> None:
        """Never raises for what the image is, nor for what the store does: it can be made later."""
        try:
            small = await asyncio.to_thread(thumbnail, image, self._limits, THUMBNAIL_PX)
        except InputError as error:
            log.warning("no thumbnail of %s: %s", address, error)
        else:
            await self._keep_thumbnail(address, small)

    async def _keep_thumbnail(self, address: str, small: bytes) -> None:
        """What keeps it from being kept costs who asks next some time, and this caller nothing."""
        with contextlib.suppress(StorageFull, MediaUnavailable):
            await self._run(self._media.put_derived, address, THUMBNAIL, small)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def _remove_unnamed(self, address: str) -> bool:
        if not self._sole_writer:
            return True
        with contextlib.nullcontext(True) if self._others is None else self._others.alone() as alone:
            return alone and await self._remove_if_unnamed(address)

    async def _remove_if_unnamed(self, address: str) -> bool:
        try:
            if await self._rows.count(parse_filter({"field": "media", "op": "eq", "value": address})) == 0:
                await self._run(self._media.delete, address)
        except (CrossrayError, RetrievalError, OSError):
            log.warning("the file %s stays, although no item may name it", address, exc_info=True)
            return False
        return True
