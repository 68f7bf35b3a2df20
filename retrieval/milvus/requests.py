"""What is asked of one collection, in pymilvus's terms. Everything here blocks, and ends by the deadline given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from retrieval.base import Record
from retrieval.filters import In
from retrieval.milvus.collection import Collection
from retrieval.milvus.connection import Deadline
from retrieval.milvus.consistency import Guarantees
from retrieval.milvus.expression import compile_filter, quote
from retrieval.milvus.schema import PAYLOAD_FIELDS, VECTOR_FIELD, to_record
from retrieval.milvus.structures import search_params

IDS_PER_CALL = 1_000
_IN_ORDER = {"iterator": "True", "reduce_stop_for_best": "True"}
"""What pymilvus's iterators ask with: the smallest ids first. The iterators themselves wait a second on 2.3."""


class Requests:
    """Of the collection, with what its reads wait for."""

    def __init__(self, client: Any, collection: Collection, guarantees: Guarantees) -> None:
        self._client = client
        self._collection = collection
        self._guarantees = guarantees

    def call(self, method: str, by: Deadline, **arguments: Any) -> Any:
        return getattr(self._client, method)(collection_name=self._collection.name, timeout=by.left_s, **arguments)

    def write(self, method: str, by: Deadline, **arguments: Any) -> None:
        """Later reads wait for it."""
        self.call(method, by, **arguments)
        self._guarantees.wrote(by.left_s)

    def catch_up(self, by: Deadline) -> None:
        """Later reads wait for what anyone wrote until now."""
        self._guarantees.wrote(by.left_s)

    def nearest(self, vectors: Sequence[Sequence[float]], expression: str, limit: int, by: Deadline) -> Any:
        return self.call(
            "search",
            by,
            data=list(vectors),
            anns_field=VECTOR_FIELD,
            filter=expression,
            limit=limit,
            output_fields=list(PAYLOAD_FIELDS),
            search_params=search_params(self._collection.structure, limit),
            **self._guarantees.of_search(),
        )

    def read(self, expression: str, fields: Sequence[str], by: Deadline, **arguments: Any) -> list[dict[str, Any]]:
        given = {"output_fields": list(fields), **self._guarantees.of_read(), **arguments}
        return list(self.call("query", by, filter=expression, **given))

    def count(self, expression: str, by: Deadline) -> int:
        return int(self.read(expression, ["count(*)"], by)[0]["count(*)"])

    def rows_of(self, ids: Sequence[str], fields: Sequence[str], by: Deadline) -> Iterator[dict[str, Any]]:
        """Of those that there are, in no order."""
        for part in parts(ids):
            yield from self.read(compile_filter(In("id", part)), fields, by)

    def existing(self, ids: Sequence[str], by: Deadline) -> set[str]:
        """Those that there are; before some are said not to be, with what anyone wrote until now."""
        found = {row["id"] for row in self.rows_of(ids, ["id"], by)}
        if len(found) < len(ids):
            self.catch_up(by)
            found = {row["id"] for row in self.rows_of(ids, ["id"], by)}
        return found

    def records(self, ids: Sequence[str], by: Deadline) -> list[Record]:
        """Of those that there are, in no order."""
        return [to_record(row) for row in self.rows_of(ids, [*PAYLOAD_FIELDS, VECTOR_FIELD], by)]

    def page(self, after: str, limit: int, fields: Sequence[str], by: Deadline, expression: str = "") -> list[Any]:
        """Up to `limit` rows with `id > after`, by id; none where there are no more."""
        beyond = f"id > {quote(after)}" + (f" and {expression}" if expression else "")
        rows = self.read(beyond, fields, by, limit=limit, **_IN_ORDER)
        return sorted(rows, key=lambda row: row["id"])[:limit]

    def walk(self, fields: Sequence[str], by: Deadline, expression: str = "", batch: int = 1_000) -> Iterator[Any]:
        """Every row, by id."""
        after = ""
        while page := self.page(after, batch, fields, by, expression):
            yield from page
            after = page[-1]["id"]


def parts(ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """As many as go into one expression."""
    all_ids = tuple(ids)
    for start in range(0, len(all_ids), IDS_PER_CALL):
        yield all_ids[start : start + IDS_PER_CALL]
