"""The Retriever deployment: owns the index and answers batches of calls to it.

What goes wrong comes back as a value beside the results, so that one bad query cannot fail its neighbours and errors
keep their class across processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from deployments.id_locks import IdLocks
from encoders import EncoderInfo
from retrieval import (
    EmbeddedOptions,
    Filter,
    Hit,
    IndexHealth,
    MilvusOptions,
    Query,
    Record,
    TextQuery,
    VectorIndex,
    open_index,
)
from retrieval.errors import RetrievalError

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
        answers = iter(await self._search(list(compress(queries, at_once))))
        return [next(answers) if now else Answer(None, is_deferred=True) for now in at_once]

    async def search_alone(self, query: Query) -> Answer[list[Hit]]:
        """However long it takes."""
        return (await self._search([query]))[0]

    async def _search(self, queries: Sequence[Query]) -> list[Answer[list[Hit]]]:
        """A query that fails is found by asking one by one, and fails alone."""
        try:
            return [Answer(hits) for hits in await self._index.search(queries)]
        except RetrievalError as error:
            if len(queries) == 1:
                return [Answer(None, error)]
            return [(await self._search([query]))[0] for query in queries]

    async def search_text(self, queries: Sequence[TextQuery]) -> list[Answer[list[Hit]]]:
        """As `search`, by words."""
        try:
            return [Answer(hits) for hits in await self._index.search_text(queries)]
        except RetrievalError as error:
            if len(queries) == 1:
                return [Answer(None, error)]
            return [(await self.search_text([query]))[0] for query in queries]

    async def upsert(self, groups: Sequence[Sequence[Record]]) -> list[Answer[None]]:
        """One answer a group; a group is stored whole or not at all, and groups share a commit where the index can."""
        return list(await asyncio.gather(*(self._upsert(group) for group in groups)))

    async def set_ocr(self, id: str, media: str, text: str) -> Answer[bool]:
        """See `IndexPort.set_ocr`. Writes to the same item that come through this worker wait meanwhile."""
        try:
            async with self._writing.held([id]):
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

    async def health(self) -> IndexHealth:
        return await self._index.health()

    async def close(self) -> None:
        await self._index.close()

    async def _upsert(self, group: Sequence[Record]) -> Answer[None]:
        try:
            async with self._writing.held(record.id for record in group):
                await self._index.upsert(group)
            return Answer(None)
        except RetrievalError as error:
            return Answer(None, error)


@dataclass(frozen=True, slots=True)
class RetrieverOptions:
    """Which index a Retriever replica opens, and with what."""

    backend: Literal["memory", "embedded", "milvus"]
    path: Path
    """The folder of all collections of this back end; each vector contract has a folder of its own below it."""
    uri: str | None
    """A Milvus server; `path` is not used then."""
    embedded: EmbeddedOptions
    milvus: MilvusOptions
    """Its alias is the start of a name: each vector contract has an alias, and so a collection, of its own."""


class RetrieverDeployment(RetrieverWorker):
    """The Serve side of a RetrieverWorker: opens the index in this replica, and closes it with the replica."""

    async def __init__(self, options: RetrieverOptions, encoder: Any) -> None:  # type: ignore[misc]
        """`encoder` is the Encoder's handle: the index is opened under the contract of what runs."""
        info: EncoderInfo = await encoder.info.remote()
        index = await open_index(
            options.backend,
            dim=info.dim,
            contract_json=info.contract.to_json(),
            path=None if options.uri else options.path / info.contract.fingerprint,
            uri=options.uri,
            embedded=options.embedded,
            milvus=replace(options.milvus, alias=f"{options.milvus.alias}_{info.contract.fingerprint}"),
        )
        super().__init__(index)

    async def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        if not (health := await self.health()).ready:
            raise RuntimeError(f"the index is not ready: {health.detail}")

    async def __del__(self) -> None:
        await self.close()
