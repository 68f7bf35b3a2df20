"""An index of a version whose writes are told to the catalog before they are acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from deployments.catalog.versions import Version
from deployments.catalog.view import CatalogView
from deployments.ports import IndexPort
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery


class JournaledIndex:
    """An IndexPort over that of one version. Writes raise Moved where another version took over meanwhile."""

    def __init__(self, index: IndexPort, view: CatalogView, version: Version) -> None:
        self._index = index
        self._view = view
        self._version = version

    async def upsert(self, records: Sequence[Record]) -> None:
        async with self._writing(record.id for record in records):
            await self._index.upsert(records)

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        async with self._writing([id]):
            return await self._index.set_ocr(id, media, text)

    async def delete(self, ids: Sequence[str]) -> int:
        async with self._writing(ids):
            return await self._index.delete(ids)

    async def search(self, query: Query) -> list[Hit]:
        return await self._index.search(query)

    async def search_text(self, query: TextQuery) -> list[Hit]:
        return await self._index.search_text(query)

    async def get(self, ids: Sequence[str], *, latest: bool = False) -> list[Record | None]:
        return await self._index.get(ids, latest=latest)

    async def confirm(self, ids: Sequence[str]) -> None:
        """What was found done may be the work of a writer that was killed before its journal entry, or of a version
        that is retired by now: so it is told like a write."""
        async with self._writing(ids):
            pass

    async def scan(self, after: str, limit: int) -> list[Record]:
        return await self._index.scan(after, limit)

    async def count(self, filter: Filter | None = None) -> int:
        return await self._index.count(filter)

    async def sample(self, limit: int) -> Sample:
        return await self._index.sample(limit)

    async def health(self) -> IndexHealth:
        return await self._index.health()

    @asynccontextmanager
    async def _writing(self, ids: Iterable[str]) -> AsyncIterator[None]:
        """Told also where the index raised: it may have written after all."""
        touched = list(ids)
        await self._view.pass_swap(self._version.collection)
        try:
            yield
        finally:
            await self._view.written(self._version.collection, self._version.id, touched)
