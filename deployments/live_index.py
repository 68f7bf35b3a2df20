"""An index that follows a collection: each call goes to the version that is live then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from deployments.catalog.journaled import JournaledIndex
from deployments.catalog.view import CatalogView, VersionGone
from deployments.ports import IndexPort
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery

T = TypeVar("T")


class LiveIndex:
    """An IndexPort for whoever reads and writes payloads alone: two calls may be of two vector contracts."""

    def __init__(self, view: CatalogView, index: Callable[[int], IndexPort], collection: str) -> None:
        """`index` makes the port of a version, by its number."""
        self._view = view
        self._make = index
        self._collection = collection
        self._live: tuple[int, IndexPort] | None = None

    async def upsert(self, records: Sequence[Record]) -> None:
        await self._ask(lambda index: index.upsert(records))

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        return await self._ask(lambda index: index.set_ocr(id, media, text))

    async def delete(self, ids: Sequence[str]) -> int:
        return await self._ask(lambda index: index.delete(ids))

    async def search(self, query: Query) -> list[Hit]:
        return await self._ask(lambda index: index.search(query))

    async def search_text(self, query: TextQuery) -> list[Hit]:
        return await self._ask(lambda index: index.search_text(query))

    async def get(self, ids: Sequence[str], *, latest: bool = False) -> list[Record | None]:
        return await self._ask(lambda index: index.get(ids, latest=latest))

    async def confirm(self, ids: Sequence[str]) -> None:
        await self._ask(lambda index: index.confirm(ids))

    async def scan(self, after: str, limit: int) -> list[Record]:
        return await self._ask(lambda index: index.scan(after, limit))

    async def count(self, filter: Filter | None = None) -> int:
        return await self._ask(lambda index: index.count(filter))

    async def sample(self, limit: int) -> Sample:
        return await self._ask(lambda index: index.sample(limit))

    async def health(self) -> IndexHealth:
        return await self._ask(lambda index: index.health())

    async def _ask(self, call: Callable[[IndexPort], Awaitable[T]]) -> T:
        """Again in the version that is live now where the other went, or was written to too late."""
        try:
            return await call(await self._port())
        except VersionGone:
            await self._view.refresh()
            return await call(await self._port())

    async def _port(self) -> IndexPort:
        live = (await self._view.collection(self._collection)).live
        if self._live is None or self._live[0] != live.id:
            self._live = live.id, JournaledIndex(self._make(live.id), self._view, live)
        return self._live[1]
