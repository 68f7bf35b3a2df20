"""Filters over all rows at once: a column per field that is filtered on, a boolean mask per filter.

A column is read from SQLite (`column_reading`) when a filter first names its field, and is kept up to date from then
on. At most `MAX_COLUMNS` are kept, so that metadata of a thousand different keys costs nothing until someone filters on
them.

A text, boolean or set of tags is held as the number of its distinct value: a condition is decided once a distinct
value and spread over the rows by one lookup. Numbers are held as they are, and long texts, `TEXTS`, folded once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Payload
from retrieval.embedded.rows import Rows
from retrieval.filters import (
    MAX_NODES,
    METADATA,
    TEXTS,
    And,
    Contains,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    fold,
    in_order,
    type_of,
)

Mask = NDArray[np.bool_]
MAX_COLUMNS = MAX_NODES
"""As many as the largest filter can name."""
ALWAYS = "kind"
"""The column that stays: a search for a target needs it, and may run on the event loop."""


class Column:
    """One field of every row. Code 0 is no value; a number stands beside it, NaN where there is none."""

    def __init__(self, capacity: int) -> None:
        self._codes = np.zeros(capacity, dtype=np.int32)
        self._numbers = np.full(capacity, np.nan)
        self._code_of: dict[Hashable, int] = {}
        self._distinct: list[tuple[Any, ...]] = [()]

    @property
    def nbytes(self) -> int:
        return self._codes.nbytes + self._numbers.nbytes

    def set(self, slot: int, value: Any) -> None:
        """`value` is None, a scalar, or a tuple of tags."""
        if slot >= len(self._codes):
            grow = max(slot + 1, int(len(self._codes) * 1.5)) - len(self._codes)
            self._codes = np.concatenate([self._codes, np.zeros(grow, dtype=np.int32)])
            self._numbers = np.concatenate([self._numbers, np.full(grow, np.nan)])
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        self._numbers[slot] = value if is_number else np.nan
        self._codes[slot] = 0 if value is None or is_number else self._code(value)

    def _code(self, value: Any) -> int:
        key = (type(value), value)
        code = self._code_of.get(key)
        if code is None:
            code = self._code_of[key] = len(self._distinct)
            self._distinct.append(value if isinstance(value, tuple) else (value,))
        return code

    def arrange(self, slots: NDArray[np.int64]) -> None:
        """What stood in `slots` now stands in 0, 1, …"""
        self._codes, self._numbers = self._codes[slots], self._numbers[slots]

    def move(self, last: int, slot: int) -> None:
        self._codes[slot] = self._codes[last]
        self._numbers[slot] = self._numbers[last]
        self._codes[last] = 0
        self._numbers[last] = np.nan

    def mask(self, leaf: In | Range | Contains | Exists, count: int) -> Mask:
        numbers, codes = self._numbers[:count], self._codes[:count]
        match leaf:
            case Exists():
                present = self._spread(lambda values: bool(values), codes)
                return np.asarray(present | ~np.isnan(numbers), dtype=bool)
            case In(_, wanted):
                wanted_tags = set(wanted)
                if leaf.field == "tags":
                    return self._spread(lambda tags: not wanted_tags.isdisjoint(tags), codes)
                found = np.isin(numbers, [value for value in wanted if type_of(value) == "number"])
                known = [self._code_of[key] for value in wanted if (key := (type(value), value)) in self._code_of]
                return found | np.isin(codes, known)
            case Contains(_, value):
                part = fold(value)
                return self._spread(lambda texts: any(part in text for text in texts), codes)
            case Range(_, op, bound):
                if isinstance(bound, str):
                    return self._spread(lambda values: any(in_order(v, op, bound) for v in values), codes)
                compare = {"gt": np.greater, "gte": np.greater_equal, "lt": np.less, "lte": np.less_equal}[op]
                return np.asarray(compare(numbers, bound), dtype=bool)

    def _spread(self, decide: Callable[[tuple[Any, ...]], bool], codes: NDArray[np.int32]) -> Mask:
        decided = np.fromiter(map(decide, self._distinct), dtype=bool, count=len(self._distinct))
        return np.asarray(decided[codes], dtype=bool)

    @property
    def is_bloated(self) -> bool:
        """Whether most distinct values that it remembers are of rows long gone."""
        return len(self._distinct) > 2 * len(self._codes) + 1024


class Columns:
    """The columns in use. The caller sees to it that nothing changes meanwhile."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._columns: OrderedDict[str, Column] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in list(self._columns.values()))

    def missing(self, filter: Filter) -> set[str]:
        """The fields of a filter that have no column yet. The others count as just used."""
        named = fields_of(filter) - {"id"}
        for field in named & self._columns.keys():
            self._columns.move_to_end(field)
        return named - self._columns.keys()

    def add(self, field: str, column: Column) -> None:
        """Takes a field of every row; the column used longest ago makes room."""
        self._columns[field] = column
        while len(self._columns) > MAX_COLUMNS:
            del self._columns[next(name for name in self._columns if name != ALWAYS)]

    def put(self, slots: Sequence[int], payloads: Sequence[Payload]) -> None:
        for field, column in list(self._columns.items()):
            for slot, payload in zip(slots, payloads, strict=True):
                column.set(slot, _value_of(field, payload))
            if column.is_bloated:
                del self._columns[field]

    def move(self, last: int, slot: int) -> None:
        for column in self._columns.values():
            column.move(last, slot)

    def mask(self, filter: Filter) -> Mask:
        """`(count,)` booleans: which rows match. Every field has been loaded."""
        match filter:
            case And(terms):
                return np.asarray(np.logical_and.reduce([self.mask(term) for term in terms]))
            case Or(terms):
                return np.asarray(np.logical_or.reduce([self.mask(term) for term in terms]))
            case Not(term):
                return ~self.mask(term)
            case In("id") | Range("id") | Exists("id"):
                return self._mask_of_ids(filter)
            case In(field) | Range(field) | Contains(field) | Exists(field):
                return self._columns[field].mask(filter, self._rows.count)

    def _mask_of_ids(self, leaf: In | Range | Exists) -> Mask:
        match leaf:
            case Exists():
                return np.ones(self._rows.count, dtype=bool)
            case In(_, values):
                mask = np.zeros(self._rows.count, dtype=bool)
                mask[[self._rows.slot_of[v] for v in values if isinstance(v, str) and v in self._rows.slot_of]] = True
                return mask
            case Range(_, op, bound):
                ids = self._rows.ids
                return np.fromiter((in_order(id, op, bound) for id in ids), dtype=bool, count=len(ids))


def fields_of(filter: Filter) -> set[str]:
    """Every field that a filter names."""
    match filter:
        case And(terms) | Or(terms):
            return set().union(*(fields_of(term) for term in terms))
        case Not(term):
            return fields_of(term)
        case In(field) | Range(field) | Contains(field) | Exists(field):
            return {field}


def _value_of(field: str, payload: Payload) -> Any:
    if field.startswith(METADATA):
        metadata: Mapping[str, Any] = payload.metadata
        return metadata.get(field[len(METADATA) :])
    value = getattr(payload, field)
    return fold(value) if field in TEXTS and value is not None else value
