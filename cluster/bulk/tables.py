"""Rows and their outcomes as the Arrow tables that Ray Data carries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from cluster.indexing.ledger import Outcome, StepKey, Work, Written
from cluster.indexing.report import Failure
from cluster.indexing.rows import Mark, Row

KEY = [
    ("shard", pa.int64()),
    ("number", pa.int64()),
    ("offset", pa.int64()),
    ("line", pa.int64()),
    ("last", pa.bool_()),
]
STEPS = pa.schema(
    [
        *KEY,
        ("name", pa.string()),
        ("image", pa.large_binary()),
        ("text", pa.large_string()),
        ("fields", pa.string()),
    ]
)
"""One step of reading a row. `name` is null for the end of a shard; `fields` is JSON of what is neither image nor
text."""
OUTCOMES = pa.schema([*KEY, ("outcome", pa.string()), ("detail", pa.string()), ("name", pa.string())])
"""What became of a step: `detail` is an id, or the reason of a failure; `outcome` is null at the end of a shard."""


def steps_table(steps: Sequence[tuple[StepKey, Row | None]]) -> pa.Table:
    """Rows of these names, in this order."""
    columns: dict[str, list[Any]] = _key_columns(key for key, _ in steps)
    rows = [row for _, row in steps]
    columns["name"] = [None if row is None else row.name for row in rows]
    columns["image"] = [None if row is None else row.image for row in rows]
    columns["text"] = [None if row is None else row.text for row in rows]
    columns["fields"] = ["" if row is None else _fields(row) for row in rows]
    return pa.table(columns, schema=STEPS)


def read_steps(table: pa.Table) -> list[tuple[StepKey, Row | None]]:
    return [(_key(value), _row(value)) for value in table.to_pylist()]


def outcomes_table(outcomes: Sequence[tuple[StepKey, Outcome | None]]) -> pa.Table:
    columns: dict[str, list[Any]] = _key_columns(key for key, _ in outcomes)
    named = [_named(outcome) for _, outcome in outcomes]
    columns["outcome"], columns["detail"], columns["name"] = (list(part) for part in zip(*named, strict=True))
    return pa.table(columns, schema=OUTCOMES)


def read_outcomes(table: pa.Table) -> list[tuple[StepKey, Outcome | None]]:
    return [(_key(value), _outcome(value)) for value in table.to_pylist()]


def read_work(table: pa.Table) -> tuple[list[Work], list[tuple[StepKey, Outcome | None]]]:
    """What is to be written, and what is settled already: bad rows, and the ends of shards."""
    work: list[Work] = []
    settled: list[tuple[StepKey, Outcome | None]] = []
    for key, row in read_steps(table):
        if row is None:
            settled.append((key, None))
        elif row.fault is not None:
            settled.append((key, Failure(row.name, row.fault)))
        else:
            work.append(Work(row, key))
    return work, settled


def _key_columns(keys: Iterable[StepKey]) -> dict[str, list[Any]]:
    flat = [(key.shard, key.number, key.after.offset, key.after.line, key.last) for key in keys]
    return {name: list(column) for (name, _), column in zip(KEY, zip(*flat, strict=True), strict=True)}


def _key(value: dict[str, Any]) -> StepKey:
    return StepKey(value["shard"], value["number"], Mark(value["offset"], value["line"]), value["last"])


def _fields(row: Row) -> str:
    fields = {"id": row.id, "source": row.source, "tags": row.tags, "metadata": dict(row.metadata), "fault": row.fault}
    return json.dumps(fields, ensure_ascii=False)


def _row(value: dict[str, Any]) -> Row | None:
    if value["name"] is None:
        return None
    fields = json.loads(value["fields"])
    tags = tuple(fields.pop("tags"))
    return Row(value["name"], image=value["image"], text=value["text"], tags=tags, **fields)


def _named(outcome: Outcome | None) -> tuple[str | None, str | None, str | None]:
    if isinstance(outcome, Failure):
        return "failed", outcome.reason, outcome.source
    return (None, None, None) if outcome is None else (outcome.outcome, outcome.id, None)


def _outcome(value: dict[str, Any]) -> Outcome | None:
    if value["outcome"] is None:
        return None
    if value["outcome"] == "failed":
        return Failure(value["name"], value["detail"])
    return Written(value["outcome"], value["detail"])
