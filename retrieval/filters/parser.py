"""The JSON form of a filter:

    {"field": "color", "op": "eq", "value": "red"}        eq, ne, in, gt, gte, lt, lte, any_of, contains, exists
    {"and": [...]}   {"or": [...]}   {"not": {...}}

A field is one of `RESERVED`, or a key of the item's metadata, bare or as `metadata.key`. `tags` takes `any_of` (one of
these is among the item's tags) and `exists`; `text` and `ocr_text` take `contains` and `exists`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrieval.errors import InvalidFilter
from retrieval.filters.tree import (
    KEY,
    KEY_RULE,
    METADATA,
    RESERVED,
    TEXTS,
    And,
    Contains,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Range,
    Value,
    is_scalar_number,
)

MAX_DEPTH = 12
MAX_NODES = 64
MAX_VALUES = 1000
MAX_VALUE_CHARS = 1024


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
