"""The filter language: which rows a search may answer with.

A filter is a small typed tree. `matches` says what it means, row by row; every index must agree with it, however it
evaluates the tree. The JSON form is

    {"field": "color", "op": "eq", "value": "red"}        eq, ne, in, gt, gte, lt, lte, any_of, contains, exists
    {"and": [...]}   {"or": [...]}   {"not": {...}}

A field is one of `RESERVED`, or a key of the item's metadata, bare or as `metadata.key`. `tags` is the one field of
many values and takes `any_of` (one of these is among the item's tags) and `exists`. `text` and `ocr_text` are for
reading: they take `contains`, a part of the text in any case, and `exists`.

Meaning: a text, a number and a boolean are three types, and comparing across types does not match. A field that an
item does not have matches nothing but `exists: false`; `ne` and `not` are plain negation, so they match it. Texts are
ordered by code point.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from retrieval.errors import InvalidFilter

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

MAX_DEPTH = 12
MAX_NODES = 64
MAX_VALUES = 1000
MAX_VALUE_CHARS = 1024
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


def parse_filter(obj: object) -> Filter:
    """From decoded JSON. Raises InvalidFilter, whose `path` names the place, such as `filter.and[1].value`."""
    return _Parser().parse(obj, "filter", 1)


class _Parser:
    """Counts nodes over one tree, so that a filter cannot be made to cost without bound."""

    def __init__(self) -> None:
        self.nodes = 0

    def parse(self, obj: object, path: str, depth: int) -> Filter:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"nested more than {MAX_DEPTH} deep", path)
        if self.nodes > MAX_NODES:
            raise InvalidFilter(f"more than {MAX_NODES} conditions", path)
        if not isinstance(obj, Mapping):
            raise InvalidFilter(f"expected an object, found {_type_name(obj)}", path)
        if "field" in obj:
            return _leaf(obj, path)
        if len(obj) != 1 or (name := next(iter(obj))) not in ("and", "or", "not"):
            forms = '{"field", "op", "value"}, {"and": [...]}, {"or": [...]} or {"not": {...}}'
            raise InvalidFilter(f"expected {forms}", path)
        if name == "not":
            return Not(self.parse(obj["not"], f"{path}.not", depth + 1))
        terms = obj[name]
        if not isinstance(terms, list | tuple) or not terms:
            raise InvalidFilter("expected a list of at least one condition", f"{path}.{name}")
        parsed = tuple(self.parse(term, f"{path}.{name}[{i}]", depth + 1) for i, term in enumerate(terms))
        return And(parsed) if name == "and" else Or(parsed)


def _leaf(obj: Mapping[Any, Any], path: str) -> Filter:
    if unknown := [str(key) for key in obj if key not in ("field", "op", "value")]:
        raise InvalidFilter(f"unknown key {unknown[0]!r}", path)
    field = _field(obj["field"], f"{path}.field")
    op = obj.get("op", "eq")
    if "value" not in obj and op != "exists":
        raise InvalidFilter("missing", f"{path}.value")
    value = obj.get("value", True)
    at = f"{path}.value"
    if field == "tags" and op not in ("any_of", "exists"):
        raise InvalidFilter("tags takes any_of or exists", f"{path}.op")
    if field in TEXTS and op not in ("contains", "exists"):
        raise InvalidFilter(f"{field} takes contains or exists", f"{path}.op")
    match op:
        case "contains" if field in TEXTS:
            return Contains(field, _part(value, at))
        case "contains":
            raise InvalidFilter(f"contains is for {' and '.join(TEXTS)}", f"{path}.op")
        case "eq":
            return In(field, (_value(value, at),))
        case "ne":
            return Not(In(field, (_value(value, at),)))
        case "in":
            return In(field, _list(value, at))
        case "any_of" if field == "tags":
            return In(field, tuple(_text(v, f"{at}[{i}]") for i, v in enumerate(_list(value, at))))
        case "any_of":
            raise InvalidFilter("any_of is for tags; use in", f"{path}.op")
        case "gt" | "gte" | "lt" | "lte":
            if isinstance(value, bool):
                raise InvalidFilter("a boolean has no order", at)
            return Range(field, op, _value(value, at))
        case "exists":
            if not isinstance(value, bool):
                raise InvalidFilter(f"expected true or false, found {_type_name(value)}", at)
            return Exists(field) if value else Not(Exists(field))
    raise InvalidFilter("expected one of eq, ne, in, gt, gte, lt, lte, any_of, contains, exists", f"{path}.op")


def _field(name: object, path: str) -> str:
    if not isinstance(name, str):
        raise InvalidFilter(f"expected a field name, found {_type_name(name)}", path)
    if name in RESERVED:
        return name
    key = name.removeprefix(METADATA)
    if not KEY.fullmatch(key):
        raise InvalidFilter(f"not a field name: {KEY_RULE}", path)
    return METADATA + key


def _list(value: object, path: str) -> tuple[Value, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise InvalidFilter("expected a list of at least one value", path)
    if len(value) > MAX_VALUES:
        raise InvalidFilter(f"more than {MAX_VALUES} values", path)
    return tuple(_value(v, f"{path}[{i}]") for i, v in enumerate(value))


def _value(value: object, path: str) -> Value:
    if isinstance(value, str):
        return _text(value, path)
    if not isinstance(value, bool | int | float):
        raise InvalidFilter(f"expected a text, a number or a boolean, found {_type_name(value)}", path)
    if not is_scalar_number(value):
        raise InvalidFilter("expected a finite number, an integer of at most 2**53", path)
    return value


def _part(value: object, path: str) -> str:
    part = _text(value, path)
    if not part:
        raise InvalidFilter("expected a text that is not empty", path)
    return part


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidFilter(f"expected a text, found {_type_name(value)}", path)
    if len(value) > MAX_VALUE_CHARS:
        raise InvalidFilter(f"longer than {MAX_VALUE_CHARS} characters", path)
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidFilter("not valid Unicode (a lone surrogate)", path)
    return value


def _type_name(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def to_json(filter: Filter) -> dict[str, Any]:
    """The JSON form, which parses back to an equal tree."""
    match filter:
        case And(terms):
            return {"and": [to_json(term) for term in terms]}
        case Or(terms):
            return {"or": [to_json(term) for term in terms]}
        case Not(term):
            return {"not": to_json(term)}
        case Exists(field):
            return {"field": field, "op": "exists", "value": True}
        case Contains(field, value):
            return {"field": field, "op": "contains", "value": value}
        case In(field, values):
            return {"field": field, "op": "any_of" if field == "tags" else "in", "value": list(values)}
        case Range(field, op, value):
            return {"field": field, "op": op, "value": value}
