"""The filter language in Milvus's: a typed tree to a boolean expression that means the same.

Nothing of the caller's is pasted: texts are quoted here, numbers are printed by Python, and column names come from
`RESERVED`. Every leaf is true or false, never null, so that `not` is plain negation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from retrieval.filters import (
    METADATA,
    And,
    Contains,
    Exists,
    Filter,
    In,
    Not,
    Or,
    Ordering,
    Range,
    Value,
    fold,
    type_of,
)

TRUE = 'id != ""'
FALSE = 'id == ""'
_SYMBOLS: dict[Ordering, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INTEGERS = ("width", "height")
_NUMBERS = (*_INTEGERS, "created_at")
_MOST = 1 << 62
"""Whole numbers up to this one fit a column of 64 bits, and a double holds this one exactly."""
_MAY_BE_ABSENT = ("media", "mime", "text")
_NO_WILDCARDS = str.maketrans("%_\\", "\ufdd0\ufdd1\ufdd2")
"""To characters that Unicode keeps for a program's own use."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def compile_filter(filter: Filter) -> str:
    """An expression for `filter=` of a Milvus call."""
    match filter:
        case And(terms):
            return _joined("and", [compile_filter(term) for term in terms])
        case Or(terms):
            return _joined("or", [compile_filter(term) for term in terms])
        case Not(term):
            return f"(not {compile_filter(term)})"
        case Exists(field):
            return _exists(field)
        case In("tags", values):
            texts = [quote(v) for v in values if isinstance(v, str)]
            return f"(array_contains_any(tags, [{', '.join(texts)}]))" if texts else _of(FALSE)
        case In(field, values):
            return _one_of(field, values)
        case Contains(field, value):
            return f"({field}_folded like {quote(f'%{fold_column(value)}%')})"
        case Range(field, op, value):
            return _range(field, op, value)


def without_contains(filter: Filter) -> Filter:
    """A filter that passes whatever `filter` passes, and that never looks inside a text."""
    return _widened(filter, wide=True)


def _widened(filter: Filter, *, wide: bool) -> Filter:
    """Each `Contains` taken for true, or under a `Not` for false, so that more passes; less, where not wide."""
    match filter:
        case Contains():
            nothing = In("id", ())
            return Not(nothing) if wide else nothing
        case Not(term):
            return Not(_widened(term, wide=not wide))
        case And(terms) | Or(terms):
            return type(filter)(tuple(_widened(term, wide=wide) for term in terms))
    return filter


def fold_column(text: str) -> str:
    """How a text stands in a `_folded` column: without case, and without what `like` gives a meaning.

    Lite's two evaluators disagree on escapes in a pattern, so those characters are never there to be escaped.
    """
    return fold(text).translate(_NO_WILDCARDS)


def quote(value: Value) -> str:
    """A Milvus literal. Lite knows no `\\u` escapes, so all but the quoting characters stand as they are."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    return repr(value if isinstance(value, float) or abs(value) <= _MOST else float(value))


def _of(expression: str) -> str:
    return f"({expression})"


def _joined(operator: str, parts: Sequence[str]) -> str:
    """A balanced tree: Milvus parses and evaluates a chain recursively, and a long one overflows its stack."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(operator, parts[:middle])} {operator} {_joined(operator, parts[middle:])})"


def _attribute(field: str, value: Value) -> str:
    return f"attributes[{quote(f'{field.removeprefix(METADATA)}:{type_of(value)}')}]"


def _exists(field: str) -> str:
    if field.startswith(METADATA):
        examples: tuple[Value, ...] = ("", 0, False)
        return _joined("or", [f"(exists {_attribute(field, example)})" for example in examples])
    if field == "tags":
        return "(not (array_length(tags) == 0))"  # 2.3 knows no other comparison of a length
    if field == "ocr_text":
        return "(ocr_read == 1)"
    return f'({field} != "")' if field in _MAY_BE_ABSENT else _of(TRUE)


def _one_of(field: str, values: Sequence[Value]) -> str:
    if field.startswith(METADATA):
        return _joined("or", [_guarded(_attribute(field, v), f"== {quote(v)}") for v in values])
    if field in _NUMBERS:
        numbers = [v for v in values if type_of(v) == "number" and not isinstance(v, str)]
        whole = field in _INTEGERS
        fitting = [int(v) if whole else float(v) for v in numbers if not whole or (v % 1 == 0 and abs(v) <= _MOST)]
        return _joined("or", [f"({field} == {v!r})" for v in fitting]) if fitting else _of(FALSE)
    texts = [quote(v) for v in values if isinstance(v, str) and (v or field not in _MAY_BE_ABSENT)]
    return f"({field} in [{', '.join(texts)}])" if texts else _of(FALSE)


def _range(field: str, op: Ordering, value: str | int | float) -> str:
    if field.startswith(METADATA):
        return _guarded(_attribute(field, value), f"{_SYMBOLS[op]} {quote(value)}")
    if isinstance(value, str) == (field in _NUMBERS):
        return _of(FALSE)
    if isinstance(value, str):
        comparison = f"({field} {_SYMBOLS[op]} {quote(value)})"
        return f"({_exists(field)} and {comparison})" if field in _MAY_BE_ABSENT or field == "tags" else comparison
    if field not in _INTEGERS:
        return f"({field} {_SYMBOLS[op]} {float(value)!r})"
    # The whole number on the near side of a fractional bound orders whole numbers as the bound does, and so does the
    # last one that a column holds for what lies beyond it, as widths never come near.
    whole = math.floor(value) if op in ("gt", "lte") else math.ceil(value)
    whole = max(-_MOST, min(_MOST, whole))
    return f"({field} {_SYMBOLS[op]} {whole})"


def _guarded(attribute: str, comparison: str) -> str:
    return f"((exists {attribute}) and ({attribute} {comparison}))"
