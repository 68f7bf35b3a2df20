"""An exact index in a dictionary: the oracle that every other index is tested against. Nothing is kept on disk."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from retrieval.base import KINDS_OF_TARGET, Hit, IndexHealth, Query, Record, Sample, TextQuery
from retrieval.bm25 import bm25
from retrieval.filters import Filter, matches
from retrieval.lexical import terms, text_of, tokens
from retrieval.ranking import DECIMALS, exact_scores, rank
from retrieval.validation import check_query, check_records, check_text_query


class MemoryIndex:
    """Compares every query with every record. Implements `retrieval.base.VectorIndex`."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._records: dict[str, Record] = {}

    @property
    def dim(self) -> int:
        return self._dim

    async def upsert(self, records: Sequence[Record]) -> None:
        rows = check_records(records, self._dim)
        self._records |= {r.id: Record(r.id, row, r.payload) for r, row in zip(records, rows, strict=True)}

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        return [self._records.get(id) for id in ids]

    async def delete(self, ids: Sequence[str]) -> int:
        return sum(self._records.pop(id, None) is not None for id in ids)

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        vectors = [check_query(query, self._dim) for query in queries]
        answers = []
        for query, vector in zip(queries, vectors, strict=True):
            found = self._in_scope(query)
            scores = exact_scores(np.stack([r.vector for r in found]), vector) if found else []
            order = rank([r.id for r in found], scores, query.top_k)
            answers.append([Hit(found[i].id, scores[i], found[i].payload) for i in order])
        return answers

    async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
        texts = {r.id: tokens(text_of(r.payload)) for r in self._records.values()}
        answers = []
        for query in queries:
            check_text_query(query)
            found = bm25(terms(query.text), texts)
            allowed = [r for r in self._in_scope(query) if r.id in found]
            hits = [Hit(r.id, round(found[r.id], DECIMALS), r.payload) for r in allowed]
            answers.append(sorted(hits, key=lambda hit: (-hit.score, hit.id))[: query.top_k])
        return answers

    async def catch_up(self) -> None:
        """All writes go through this object."""

    def answers_at_once(self, query: Query) -> bool:
        return True

    async def count(self, filter: Filter | None = None) -> int:
        return len(self._matching(filter))

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        return [self._records[id] for id in sorted(id for id in self._records if id > after)[:limit]]

    async def sample(self, limit: int) -> Sample:
        records = list(self._records.values())
        return Sample.of(random.sample(records, min(limit, len(records))), self._dim)

    async def health(self) -> IndexHealth:
        return IndexHealth(ready=True, backend="memory", count=len(self._records), structure="flat")

    async def close(self) -> None:
        pass

    def _in_scope(self, query: Query | TextQuery) -> list[Record]:
        kinds = KINDS_OF_TARGET[query.target]
        return [r for r in self._matching(query.filter) if r.payload.kind in kinds]

    def _matching(self, filter: Filter | None) -> list[Record]:
        return [r for r in self._records.values() if filter is None or matches(filter, r.id, r.payload)]
