"""The typed tree of a filter, and what it means.

`matches` says so, row by row; every index must agree with it, however it evaluates the tree. A field is one of
`RESERVED`, or a key of the item's metadata. `tags` is the one field of many values. `text` and `ocr_text` are for
reading: what is looked for in them is a part of the text, in any case.

Meaning: a text, a number and a boolean are three types, and comparing across types does not match. A field that an
item does not have matches nothing but `exists: false`; `ne` and `not` are plain negation, so they match it. Texts are
ordered by code point.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from retrieval.base import Payload

Value: TypeAlias = str | int | float | bool
Ordering: TypeAlias = Literal["gt", "gte", "lt", "lte"]

RESERVED = ("id", "kind", "source", "media", "mime", "width", "height", "created_at", "tags", "text", "ocr_text")
TEXTS = ("text", "ocr_text")
METADATA = "metadata."
KEY = re.compile(r"[^\W\d][\w .:/-]{0,63}")
KEY_RULE = "a letter or _, then at most 63 letters, digits, spaces, _ . : / -"
"""What a metadata key looks like; letters and digits of any script."""

MAX_INT = 2**53
"""Numbers are compared as float64, which holds integers exactly up to here."""


@dataclass(frozen=True, slots=True)
class In:
    """The field is one of `values`; for `tags`, one of the tags is."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field is of the type of `value`, a number or a text, and stands in this order to it."""

    field: str
    op: Ordering
    value: str | int | float


@dataclass(frozen=True, slots=True)
class Contains:
    """The field, one of `TEXTS`, has `value` in it, upper and lower case alike."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The item has the field; for `tags`, it has a tag; for `ocr_text`, its image was read."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Filter


Filter: TypeAlias = In | Range | Contains | Exists | And | Or | Not
"""Fields in a tree are written as in `RESERVED`, or as `metadata.` and the key."""


def type_of(value: Value) -> Literal["text", "number", "boolean"]:
    """Which of the three types a value is of. A boolean is not a number."""
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def fold(text: str) -> str:
    """Without case, character by character, so that no text grows: ß, whose folding is ss, stays."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(one if len(one := character.casefold()) == 1 else character for character in text)


def is_scalar_number(value: object) -> bool:
    """Whether it is a number or a boolean that every index holds exactly."""
    if isinstance(value, int):
        return abs(value) <= MAX_INT
    return isinstance(value, float) and math.isfinite(value)


def matches(filter: Filter, record_id: str, payload: Payload) -> bool:
    """What a filter means. Exact, and the oracle for every faster way."""
    match filter:
        case And(terms):
            return all(matches(term, record_id, payload) for term in terms)
        case Or(terms):
            return any(matches(term, record_id, payload) for term in terms)
        case Not(term):
            return not matches(term, record_id, payload)
        case Exists(field):
            return bool(_values(field, record_id, payload))
        case In(field, values):
            return any(_equal(value, v) for value in _values(field, record_id, payload) for v in values)
        case Contains(field, value):
            part = fold(value)
            return any(part in fold(text) for text in _values(field, record_id, payload) if isinstance(text, str))
        case Range(field, op, bound):
            return any(in_order(value, op, bound) for value in _values(field, record_id, payload))


def in_order(value: Value, op: Ordering, bound: str | int | float) -> bool:
    """Whether `value op bound`; never across types."""
    if type_of(value) != type_of(bound):
        return False
    a: Any = value
    b: Any = bound
    return bool({"gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[op])


def _equal(a: Value, b: Value) -> bool:
    return type_of(a) == type_of(b) and a == b


def _values(field: str, record_id: str, payload: Payload) -> tuple[Value, ...]:
    """The field's values, none where the item does not have it."""
    if field == "id":
        return (record_id,)
    if field == "tags":
        return payload.tags
    value = payload.metadata.get(field[len(METADATA) :]) if field.startswith(METADATA) else getattr(payload, field)
    return () if value is None else (value,)
