"""The ports without Ray: the workers in this process. For tests, and for whoever wants the search without a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.encoder import EncodeOutcome, EncoderWorker, EncodeTask
from deployments.rerank import RerankReply, RerankTask, RerankWorker
from deployments.retriever import RetrieverWorker
from deployments.structurer import Structure, StructurerWorker
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery, VectorIndex


class LocalEncoder:
    """An EncodePort over a worker in this process."""

    def __init__(self, worker: EncoderWorker) -> None:
        self._worker = worker

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        return (await self._worker.encode(tasks)).outcomes


class LocalReranker:
    """A RerankPort over a worker in this process."""

    def __init__(self, worker: RerankWorker, names: frozenset[str]) -> None:
        self._worker = worker
        self.names = names

    async def rerank(self, task: RerankTask) -> RerankReply:
        return await self._worker.rerank(task)


class LocalStructurer:
    """A StructurePort over a worker in this process."""

    def __init__(self, worker: StructurerWorker) -> None:
        self._worker = worker

    async def structure(self, query: str) -> Structure:
        return await self._worker.structure(query)


class LocalIndex:
    """An IndexPort over an index in this process."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._worker = RetrieverWorker(index)

    async def search(self, query: Query) -> list[Hit]:
        return (await self._index.search([query]))[0]

    async def search_text(self, query: TextQuery) -> list[Hit]:
        return (await self._index.search_text([query]))[0]

    async def upsert(self, records: Sequence[Record]) -> None:
        (await self._worker.upsert([records]))[0].unwrap()

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        return (await self._worker.set_ocr(id, media, text)).unwrap()

    async def get(self, ids: Sequence[str], *, latest: bool = False) -> list[Record | None]:
        if latest:
            await self._index.catch_up()
        return await self._index.get(ids)

    async def confirm(self, ids: Sequence[str]) -> None:
        """Nothing takes over from this index."""

    async def delete(self, ids: Sequence[str]) -> int:
        return (await self._worker.delete(ids)).unwrap()

    async def scan(self, after: str, limit: int) -> list[Record]:
        return await self._index.scan(after, limit)

    async def count(self, filter: Filter | None = None) -> int:
        return await self._index.count(filter)

    async def sample(self, limit: int) -> Sample:
        return await self._index.sample(limit)

    async def health(self) -> IndexHealth:
        return await self._index.health()
