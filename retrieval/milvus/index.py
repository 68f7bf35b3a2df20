"""`VectorIndex` on Milvus.

A Lite collection is searched exactly (FLAT): up to the 20,000 rows or so that Lite is good for this costs little, and
recall stays 1 under any filter. A server's collection has an HNSW graph, and the server itself goes over to brute
force where few rows pass a filter.

The collection's name carries model and dimension; `alias` points at it, and its properties hold the vector contract.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from retrieval.base import KINDS_OF_TARGET, Hit, IndexHealth, Query, Record, TextQuery
from retrieval.errors import IncompatibleIndex, SpaceMismatch, Unsupported
from retrieval.filters import And, Filter, In, matches
from retrieval.milvus.connection import MilvusConnection
from retrieval.milvus.expression import compile_filter, quote
from retrieval.milvus.schema import (
    CONTRACT_PROPERTY,
    PAYLOAD_FIELDS,
    VECTOR_FIELD,
    build_schema,
    collection_name,
    to_payload,
    to_record,
    to_row,
)
from retrieval.ranking import DECIMALS, rank
from retrieval.validation import check_query, check_records

TIES = 16
"""Fetched beyond top_k, so that ties at the edge are settled by id and not by Milvus."""
IDS_PER_CALL = 1_000
FLUSH_ROWS = 200
"""Lite compares rows one by one in Python until they are flushed: 10,000 cost 0.8 s a query, flushed 15 ms."""


class MilvusIndex:
    """Implements `retrieval.base.VectorIndex`; its methods raise IndexUnavailable when Milvus does not answer."""

    def __init__(self, connection: MilvusConnection, dim: int, contract_json: str, alias: str) -> None:
        """Opens the collection behind `alias`, creating it where there is none. Blocks.

        Raises SpaceMismatch, and IncompatibleIndex for a collection that lacks a column.
        """
        self._connection = connection
        self._client = connection.client
        self._dim = dim
        self._writing = threading.Lock()
        with connection.naming_errors():
            self._collection = self._open_collection(alias, contract_json)
            self._unflushed = self._count("") if connection.is_lite else 0

    def _call(self, method: str, **arguments: Any) -> Any:
        named = {"collection_name": self._collection, "timeout": self._connection.deadline_s}
        return getattr(self._client, method)(**(named | arguments))

    def _open_collection(self, alias: str, contract_json: str) -> str:
        client, deadline_s = self._client, self._connection.deadline_s
        is_known = alias in _aliases(client, deadline_s)
        name = collection_name(contract_json, self._dim)
        if is_known:
            name = str(client.describe_alias(alias, timeout=deadline_s)["collection_name"])
        if is_known or client.has_collection(name, timeout=deadline_s):
            self._check_collection(name, contract_json)
        else:
            self._create_collection(name, contract_json)
        if not is_known:
            client.create_alias(name, alias, timeout=deadline_s)
        # A Lite collection comes back released after every open.
        client.load_collection(name, timeout=deadline_s)
        return name

    def _check_collection(self, name: str, contract_json: str) -> None:
        described = self._client.describe_collection(name, timeout=self._connection.deadline_s)
        stored = (described.get("properties") or {}).get(CONTRACT_PROPERTY) or described.get("description", "")
        if stored != contract_json:
            raise SpaceMismatch(stored, contract_json)
        missing = {*PAYLOAD_FIELDS} - {field["name"] for field in described["fields"]}
        if missing:
            raise IncompatibleIndex(
                f"the collection {name} was made by an older Crossray and has no {', '.join(sorted(missing))}: "
                "export it with that one, drop it, and import it with this one"
            )

    def _create_collection(self, name: str, contract_json: str) -> None:
        index = self._client.prepare_index_params()
        if self._connection.is_lite:
            index.add_index(VECTOR_FIELD, index_type="FLAT", metric_type="COSINE")
        else:
            graph = {"M": 16, "efConstruction": 200}
            index.add_index(VECTOR_FIELD, index_type="HNSW", metric_type="COSINE", params=graph)
        self._client.create_collection(
            name,
            schema=build_schema(self._client, self._dim, contract_json),
            index_params=index,
            properties={CONTRACT_PROPERTY: contract_json},
            # Sees what this client wrote; `Strong` costs a server 200 to 400 ms a query.
            consistency_level="Session",
            timeout=self._connection.deadline_s,
        )

    @property
    def dim(self) -> int:
        return self._dim

    async def upsert(self, records: Sequence[Record]) -> None:
        vectors = check_records(records, self._dim)
        # Milvus takes an id twice in one call; the last one is meant.
        rows = {record.id: to_row(record, vector) for record, vector in zip(records, vectors, strict=True)}
        if rows:
            await self._connection.run(lambda: self._upsert(list(rows.values())))

    def _upsert(self, rows: list[dict[str, Any]]) -> None:
        with self._writing:
            self._call("upsert", data=rows)
            self._unflushed += len(rows)

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        found = {r.id: r for r in await self._connection.run(lambda: self._get(list(dict.fromkeys(ids))))}
        return [found.get(id) for id in ids]

    def _get(self, ids: Sequence[str]) -> list[Record]:
        records: list[Record] = []
        for start in range(0, len(ids), IDS_PER_CALL):
            expression = compile_filter(In("id", tuple(ids[start : start + IDS_PER_CALL])))
            rows = self._call("query", filter=expression, output_fields=[*PAYLOAD_FIELDS, VECTOR_FIELD])
            records.extend(to_record(row) for row in rows)
        return records

    async def delete(self, ids: Sequence[str]) -> int:
        return await self._connection.run(lambda: self._delete(list(dict.fromkeys(ids))))

    def _delete(self, ids: Sequence[str]) -> int:
        """Counts first: what Milvus answers to a delete differs between Lite and servers."""
        deleted = 0
        with self._writing:
            for start in range(0, len(ids), IDS_PER_CALL):
                expression = compile_filter(In("id", tuple(ids[start : start + IDS_PER_CALL])))
                deleted += self._count(expression)
                self._call("delete", filter=expression)
        return deleted

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        vectors = [check_query(query, self._dim) for query in queries]
        together: dict[tuple[str, int], list[int]] = {}
        for i, query in enumerate(queries):
            together.setdefault((_expression(query), query.top_k), []).append(i)
        answers: list[list[Hit]] = [[] for _ in queries]

        def search() -> None:
            self._flush_if_due()
            for (expression, top_k), positions in together.items():
                found = self._call(
                    "search",
                    data=[vectors[i].tolist() for i in positions],
                    anns_field=VECTOR_FIELD,
                    filter=expression,
                    limit=top_k + TIES,
                    output_fields=list(PAYLOAD_FIELDS),
                    search_params={} if self._connection.is_lite else {"params": {"ef": max(128, 2 * top_k)}},
                )
                for i, rows in zip(positions, found, strict=True):
                    answers[i] = _hits(rows, queries[i])

        if queries:
            await self._connection.run(search)
        return answers

    def _flush_if_due(self) -> None:
        if self._connection.is_lite and self._unflushed >= FLUSH_ROWS:
            with self._writing:
                self._call("flush")
                self._unflushed = 0

    async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
        raise Unsupported("the milvus index does not search by words: the embedded index does", "mode")

    def answers_at_once(self, query: Query) -> bool:
        return True

    async def count(self, filter: Filter | None = None) -> int:
        expression = compile_filter(filter) if filter is not None else ""
        return await self._connection.run(lambda: self._count(expression))

    def _count(self, expression: str) -> int:
        return int(self._call("query", filter=expression, output_fields=["count(*)"])[0]["count(*)"])

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        return await self._connection.run(lambda: self._scan(after, limit))

    def _scan(self, after: str, limit: int) -> list[Record]:
        # A plain query answers in no order; an iterator walks by primary key.
        pages = self._call(
            "query_iterator",
            batch_size=min(limit, IDS_PER_CALL),
            limit=limit,
            filter=f"id > {quote(after)}",
            output_fields=[*PAYLOAD_FIELDS, VECTOR_FIELD],
        )
        records: list[Record] = []
        try:
            while page := pages.next():
                records.extend(to_record(row) for row in page)
        finally:
            pages.close()
        return records

    async def health(self) -> IndexHealth:
        count = await self.count()
        kind, structure = ("Milvus Lite", "flat") if self._connection.is_lite else ("Milvus", "hnsw")
        detail = f"{kind} at {self._connection.where}, collection {self._collection}"
        return IndexHealth(ready=True, backend="milvus", count=count, structure=structure, detail=detail)

    async def close(self) -> None:
        await asyncio.to_thread(self._connection.close)


def _aliases(client: Any, deadline_s: float) -> list[str]:
    names: list[str] = []
    for collection in client.list_collections(timeout=deadline_s):
        names.extend(client.list_aliases(collection, timeout=deadline_s)["aliases"])
    return names


def _expression(query: Query) -> str:
    kinds = KINDS_OF_TARGET[query.target]
    terms: list[Filter] = [In("kind", kinds)] if query.target != "any" else []
    terms += [query.filter] if query.filter is not None else []
    return compile_filter(And(tuple(terms))) if terms else ""


def _hits(rows: Any, query: Query) -> list[Hit]:
    hits = []
    for row in rows:
        score = min(1.0, max(-1.0, round(float(row["distance"]), DECIMALS)))
        hit = Hit(row["id"], score, to_payload(row["entity"]))
        if query.filter is None or matches(query.filter, hit.id, hit.payload):
            hits.append(hit)
    return [hits[i] for i in rank([h.id for h in hits], [h.score for h in hits], query.top_k)]
