"""`VectorIndex` on Milvus.

A Lite collection is searched exactly (FLAT) unless another type is asked for: up to the 20,000 rows or so that Lite is
good for this costs little, and recall stays 1 under any filter. A server's collection has an HNSW graph, and the
server itself goes over to brute force where few rows pass a filter.

The collection's name carries model and dimension; an alias points at it, and its properties hold the vector contract.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from retrieval.base import Hit, IndexHealth, Query, Record, Sample, TextQuery
from retrieval.errors import Unsupported
from retrieval.filters import Filter, In, matches
from retrieval.milvus.collection import CollectionOpener
from retrieval.milvus.connection import Deadline, MilvusConnection
from retrieval.milvus.consistency import Guarantees
from retrieval.milvus.expression import compile_filter, without_contains
from retrieval.milvus.requests import Requests, parts
from retrieval.milvus.sampling import sample_ids
from retrieval.milvus.schema import PAYLOAD_FIELDS, VECTOR_FIELD, to_payload, to_record, to_row
from retrieval.milvus.words import Words
from retrieval.open import MilvusOptions
from retrieval.ranking import DECIMALS, rank
from retrieval.scope import scope_of
from retrieval.validation import check_query, check_records, check_text_query

TIES = 16
"""Fetched beyond top_k, so that ties at the edge are settled by id and not by Milvus."""
MOST_HITS = 16_384
"""Milvus's own limit of one search."""
GROWTH = 4
IDS_PER_WALK = 5_000
FLUSH_ROWS = 200
"""Lite compares rows one by one in Python until they are flushed: 10,000 cost 0.8 s a query, flushed 15 ms."""


class MilvusIndex:
    """Implements `retrieval.base.VectorIndex`; its methods raise IndexUnavailable when Milvus does not answer."""

    def __init__(self, connection: MilvusConnection, dim: int, contract_json: str, options: MilvusOptions) -> None:
        """Opens the collection behind the alias, creating it where there is none. Blocks.

        Raises SpaceMismatch, Unsupported, IndexUnavailable, and IncompatibleIndex for a server or a collection of
        another age.
        """
        self._connection = connection
        self._dim = dim
        self._writing = threading.Lock()
        opener = CollectionOpener(connection.client, dim, contract_json, connection.deadline_s, options.suffix)
        self._collection = connection.open(lambda: opener.open(options.alias, options.type))
        self._can = self._collection.capabilities
        guarantees = Guarantees(connection.client, options.consistency, is_lite=self._can.is_lite)
        # What was acknowledged before, to whomever, is seen from the start.
        connection.open(lambda: guarantees.wrote(connection.deadline_s))
        self._requests = Requests(connection.client, self._collection, guarantees)
        self._unflushed = 0
        if self._can.is_lite:
            self._unflushed = connection.open(lambda: self._requests.count("", Deadline(connection.deadline_s)))
        self._words = Words(self._payloads)

    @property
    def dim(self) -> int:
        return self._dim

    async def upsert(self, records: Sequence[Record]) -> None:
        vectors = check_records(records, self._dim)
        # Milvus takes an id twice in one call; the last one is meant.
        last = {record.id: (record, vector) for record, vector in zip(records, vectors, strict=True)}
        rows = [to_row(record, vector) for record, vector in last.values()]

        def upsert(by: Deadline) -> None:
            if not self._can.is_lite:
                self._requests.write("upsert", by, data=rows)
                return
            with self._writing:
                self._write_to_lite("upsert", by, data=rows)
                self._unflushed += len(rows)
                self._words.replaced((record.id, record.payload) for record, _ in last.values())

        if rows:
            await self._connection.run(upsert)

    def _write_to_lite(self, method: str, by: Deadline, **arguments: Any) -> None:
        try:
            self._requests.write(method, by, **arguments)
        except BaseException:
            self._words.forget()
            raise

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        unique = list(dict.fromkeys(ids))
        found = {r.id: r for r in await self._connection.run(lambda by: self._requests.records(unique, by))}
        return [found.get(id) for id in ids]

    async def delete(self, ids: Sequence[str]) -> int:
        """Looks first which there are: what Milvus answers to a delete differs between Lite and servers."""
        there: set[str] = set()  # over all attempts, for one that failed may have deleted

        def delete(by: Deadline) -> None:
            with self._writing:
                for part in parts(dict.fromkeys(ids)):
                    there.update(self._requests.existing(part, by))
                    expression = compile_filter(In("id", part))
                    if self._can.is_lite:
                        self._write_to_lite("delete", by, filter=expression)
                        self._words.removed(part)
                    else:
                        self._requests.write("delete", by, filter=expression)

        if ids:
            await self._connection.run(delete)
        return len(there)

    async def catch_up(self) -> None:
        await self._connection.run(self._requests.catch_up)

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        vectors = [check_query(query, self._dim).tolist() for query in queries]
        together: dict[tuple[str, int], list[int]] = {}
        for i, query in enumerate(queries):
            together.setdefault((self._expression(scope_of(query)), query.top_k), []).append(i)
        answers: list[list[Hit]] = [[] for _ in queries]

        def search(by: Deadline) -> None:
            self._flush_if_due(by)
            for (expression, top_k), positions in together.items():
                limit = top_k + TIES
                found = self._requests.nearest([vectors[i] for i in positions], expression, limit, by)
                for i, rows in zip(positions, found, strict=True):
                    answers[i] = self._hits(queries[i], vectors[i], rows, expression, limit, by)

        if queries:
            await self._connection.run(search)
        return answers

    def _hits(
        self, query: Query, vector: list[float], rows: Any, expression: str, limit: int, by: Deadline
    ) -> list[Hit]:
        """The best of `rows`, and of more of them where the server let pass what the filter does not."""
        while True:
            hits = []
            for row in rows:
                score = min(1.0, max(-1.0, round(float(row["distance"]), DECIMALS)))
                hit = Hit(row["id"], score, to_payload(row["entity"]))
                if query.filter is None or matches(query.filter, hit.id, hit.payload):
                    hits.append(hit)
            is_whole = self._can.looks_inside_texts or query.filter is None or len(rows) < limit
            if is_whole or len(hits) >= query.top_k + TIES:
                return [hits[i] for i in rank([h.id for h in hits], [h.score for h in hits], query.top_k)]
            if limit == MOST_HITS:
                raise Unsupported(
                    f"{self._can} does not look inside texts, and too few of the {MOST_HITS} nearest pass the filter: "
                    "narrow it by another field, or use Milvus 2.4 or newer",
                    "filter",
                )
            limit = min(MOST_HITS, GROWTH * limit)
            (rows,) = self._requests.nearest([vector], expression, limit, by)

    def _expression(self, filter: Filter | None) -> str:
        """For the server; what it cannot evaluate is left out, so that it lets more pass."""
        if filter is None:
            return ""
        return compile_filter(filter if self._can.looks_inside_texts else without_contains(filter))

    def _flush_if_due(self, by: Deadline) -> None:
        if self._can.is_lite and self._unflushed >= FLUSH_ROWS:
            with self._writing:
                self._requests.call("flush", by)
                self._unflushed = 0

    async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
        for query in queries:
            check_text_query(query)
        if not self._can.is_lite:
            raise Unsupported(
                f"{self._can}: items on a Milvus server are not searched by words: use the embedded index", "mode"
            )
        return await self._connection.run(lambda by: [self._worded(query, by) for query in queries])

    def _worded(self, query: TextQuery, by: Deadline) -> list[Hit]:
        with self._writing:
            self._words.load()
        scope = scope_of(query)
        scores = dict(self._words.best(query.text))
        hits: list[Hit] = []
        for part in parts(scores):
            rows = self._requests.rows_of(part, PAYLOAD_FIELDS, by)
            payloads = {row["id"]: to_payload(row) for row in rows}
            hits += [
                Hit(id, scores[id], payloads[id])
                for id in part
                if id in payloads and (scope is None or matches(scope, id, payloads[id]))
            ]
            if len(hits) >= query.top_k:
                break
        return hits[: query.top_k]

    def _payloads(self) -> Iterator[tuple[str, Any]]:
        for row in self._requests.walk(PAYLOAD_FIELDS, Deadline(self._connection.deadline_s)):
            yield row["id"], to_payload(row)

    def answers_at_once(self, query: Query) -> bool:
        return self._can.looks_inside_texts or query.filter is None

    async def count(self, filter: Filter | None = None) -> int:
        expression = self._expression(filter)

        def count(by: Deadline) -> int:
            if filter is None or expression == compile_filter(filter):
                return self._requests.count(expression, by)
            rows = self._requests.walk(PAYLOAD_FIELDS, by, expression)
            return sum(matches(filter, row["id"], to_payload(row)) for row in rows)

        return await self._connection.run(count)

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        fields = [*PAYLOAD_FIELDS, VECTOR_FIELD]
        rows = await self._connection.run(lambda by: self._requests.page(after, limit, fields, by))
        return [to_record(row) for row in rows]

    async def sample(self, limit: int) -> Sample:
        def read(by: Deadline) -> Sample:
            def draw(expression: str, fields: list[str]) -> list[dict[str, Any]]:
                return self._requests.read(expression, fields, by)

            ids = (row["id"] for row in self._requests.walk(["id"], by, batch=IDS_PER_WALK))
            chosen = sample_ids(draw, ids, limit, can_draw=self._can.draws_rows)
            return Sample.of(self._requests.records(chosen, by), self._dim)

        return await self._connection.run(read)

    async def health(self) -> IndexHealth:
        count = await self.count()
        structure = self._collection.structure
        detail = f"{self._can} at {self._connection.where}, collection {self._collection.name}"
        if lacking := self._can.lacking:
            detail += f"; it lacks {'; '.join(lacking)}"
        return IndexHealth(ready=True, backend="milvus", count=count, structure=structure, detail=detail)

    @property
    def breaker_open(self) -> bool | None:
        """Whether calls are refused unasked, as the server did not answer; None for a Lite file."""
        return self._connection.breaker_open

    async def close(self) -> None:
        await asyncio.to_thread(self._connection.close)
