"""Files that no row names: found, set aside, and after a time of grace dropped.

A file is on disk before its row, so one without a row may be about to be named, and another writer may rely on a file
that is there already. That is why none is dropped at once: it is set aside, where it is still found, and dropped only
when no row names it after a time in which every request that was under way has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from deployments.errors import CrossrayError
from retrieval import Filter, MediaStore, RetrievalError, parse_filter

T = TypeVar("T")

PAGE = 256
"""Names taken from the store at once."""
log = logging.getLogger(__name__)


class Rows(Protocol):
    """All that may name a file: an IndexPort, or several."""

    async def count(self, filter: Filter | None = None) -> int: ...


@dataclass(frozen=True, slots=True)
class MediaSwept:
    """How many files a sweep set aside, brought back because a row names them after all, and dropped."""

    set_aside: int = 0
    brought_back: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class MediaSweepOptions:
    """How often a sweep runs, and after which time what was set aside is dropped."""

    interval_s: float
    grace_s: float
    collections_path: Path
    """The folder of this back end's collections: all that name files must be known."""


class MediaSweep:
    """One sweep after another over a media store. Several may run: what one has done, another finds done."""

    def __init__(self, media: MediaStore, rows: Rows, *, grace_s: float) -> None:
        """`rows` must be all that there are: of every collection that names files of this store. `grace_s` is longer
        than any request lasts."""
        self._media = media
        self._rows = rows
        self._grace_s = grace_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="media-sweep")

    async def run(self, interval_s: float) -> None:
        """Until cancelled, after each interval. What went wrong is tried again after the next."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                swept = await self.sweep()
                if swept != MediaSwept():
                    log.info("media files swept: %s", swept)
            except (CrossrayError, RetrievalError, OSError) as error:
                log.warning("media files were not swept: %s", error)
            except Exception:
                log.exception("the sweep of the media files failed")

    async def sweep(self) -> MediaSwept:
        """One look at all files, those set aside first. Raises what store and index raise; what is done stays done."""
        if await self._rows.count() == 0:
            return (
                MediaSwept()
            )  # An index that was lost looks like an empty one, and its files may be all that is left.
        brought_back, dropped = await self._settle()
        return MediaSwept(await self._set_aside(), brought_back, dropped)

    async def _settle(self) -> tuple[int, int]:
        brought_back = dropped = 0
        waiting = self._media.aside(self._grace_s)
        while page := await self._in_thread(lambda: list(islice(waiting, PAGE))):
            unnamed = set(await self._unnamed(sorted({aside.address for aside in page})))
            for aside in page:
                if aside.address in unnamed:
                    await self._in_thread(partial(self._media.drop, aside))
                else:
                    await self._in_thread(partial(self._media.bring_back, aside))
            gone = sum(aside.address in unnamed for aside in page)
            brought_back, dropped = brought_back + len(page) - gone, dropped + gone
        return brought_back, dropped

    async def _set_aside(self) -> int:
        done = 0
        files: Iterator[str] = self._media.walk()
        while page := await self._in_thread(lambda: list(islice(files, PAGE))):
            for address in await self._unnamed(page):
                done += await self._in_thread(partial(self._set_old_aside, address))
        return done

    def _set_old_aside(self, address: str) -> bool:
        """One that was written a moment ago is of a request under way."""
        age_s = self._media.age_s(address)
        if age_s is None or age_s < self._grace_s:
            return False
        self._media.set_aside(address)
        return True

    async def _unnamed(self, addresses: Sequence[str]) -> list[str]:
        """One question an address: the sum over several would hide one without rows behind one with many."""
        unnamed = []
        for address in addresses:
            if await self._rows.count(parse_filter({"field": "media", "op": "eq", "value": address})) == 0:
                unnamed.append(address)
        return unnamed

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
