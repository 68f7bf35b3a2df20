"""What answers batches of calls to one index, in the Retriever deployment (`deployments.retriever_versions`).

What goes wrong comes back as a value beside the results, so that one bad query cannot fail its neighbours and errors
keep their class across processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Generic, TypeVar

from deployments.id_locks import IdLocks
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery, VectorIndex
from retrieval.errors import RetrievalError

Q = TypeVar("Q")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Answer(Generic[T]):
    """A value or the index's error, whichever it was; or neither yet, see `RetrieverWorker.search`."""

    value: T | None
    error: RetrievalError | None = None
    is_deferred: bool = False

    def unwrap(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None is a value of T where T allows it


class RetrieverWorker:
    """Batches of index calls, each element with its own answer."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._writing = IdLocks()

    async def search(self, queries: Sequence[Query]) -> list[Answer[list[Hit]]]:
        """One answer a query. A query that would keep the others waiting is deferred: ask it by `search_alone`."""
        at_once = [self._index.answers_at_once(query) for query in queries]
        answers = iter(await _each(self._index.search, list(compress(queries, at_once))))
        return [next(answers) if now else Answer(None, is_deferred=True) for now in at_once]

    async def search_alone(self, query: Query) -> Answer[list[Hit]]:
        """However long it takes."""
        return (await _each(self._index.search, [query]))[0]

    async def search_text(self, queries: Sequence[TextQuery]) -> list[Answer[list[Hit]]]:
        """One answer a query."""
        return await _each(self._index.search_text, queries)

    async def upsert(self, groups: Sequence[Sequence[Record]]) -> list[Answer[None]]:
        """One answer a group; a group is stored whole or not at all, and groups share a commit where the index can."""
        return list(await asyncio.gather(*(self._upsert(group) for group in groups)))

    async def catch_up(self) -> None:
        """See `VectorIndex.catch_up`. Raises RetrievalError."""
        await self._index.catch_up()

    async def set_ocr(self, id: str, media: str, text: str) -> Answer[bool]:
        """See `IndexPort.set_ocr`. Writes to the same item that come through this worker wait meanwhile.

        Where a Milvus server has several replicas over it, one that comes through another between the read and the
        write here, some milliseconds, is overwritten: Milvus has no write that depends on what is there.
        """
        try:
            async with self._writing.held([id]):
                await self._index.catch_up()
                record = (await self._index.get([id]))[0]
                if record is None or record.payload.media != media or record.payload.ocr_text is not None:
                    return Answer(False)
                await self._index.upsert([replace(record, payload=replace(record.payload, ocr_text=text))])
                return Answer(True)
        except RetrievalError as error:
            return Answer(None, error)

    async def get(self, ids: Sequence[str]) -> list[Answer[Record | None]]:
        try:
            return [Answer(record) for record in await self._index.get(ids)]
        except RetrievalError as error:
            return [Answer(None, error) for _ in ids]

    async def delete(self, ids: Sequence[str]) -> Answer[int]:
        try:
            async with self._writing.held(ids):
                return Answer(await self._index.delete(ids))
        except RetrievalError as error:
            return Answer(None, error)

    async def scan(self, after: str, limit: int) -> Answer[list[Record]]:
        try:
            return Answer(await self._index.scan(after, limit))
        except RetrievalError as error:
            return Answer(None, error)

    async def count(self, filter: Filter | None = None) -> Answer[int]:
        try:
            return Answer(await self._index.count(filter))
        except RetrievalError as error:
            return Answer(None, error)

    async def sample(self, limit: int) -> Answer[Sample]:
        try:
            return Answer(await self._index.sample(limit))
        except RetrievalError as error:
            return Answer(None, error)

    async def health(self) -> IndexHealth:
        return await self._index.health()

    @property
    def breaker_open(self) -> bool | None:
        """Whether calls are refused unasked; None for an index that has no server to fail."""
        return getattr(self._index, "breaker_open", None)

    async def close(self) -> None:
        await self._index.close()

    async def _upsert(self, group: Sequence[Record]) -> Answer[None]:
        try:
            async with self._writing.held(record.id for record in group):
                await self._index.upsert(group)
            return Answer(None)
        except RetrievalError as error:
            return Answer(None, error)


async def _each(ask: Callable[[Sequence[Q]], Awaitable[list[T]]], queries: Sequence[Q]) -> list[Answer[T]]:
    """One answer a query. A query that fails is found by asking one by one, and fails alone."""
    try:
        return [Answer(value) for value in await ask(queries)]
    except RetrievalError as error:
        if len(queries) == 1:
            return [Answer(None, error)]
        return [(await _each(ask, [query]))[0] for query in queries]
