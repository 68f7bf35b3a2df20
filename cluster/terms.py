"""The short forms a person types: `--tag holiday --tag year=2020`, `--filter 'year>=2020, tags=holiday'`, and
`--mix 'text:at night@-0.5'`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cluster.errors import ClusterError
from retrieval.filters import KEY, KEY_RULE

Scalar: TypeAlias = str | int | float | bool
INTEGER = re.compile(r"[+-]?\d{1,15}")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d{1,2})?")
TERM = re.compile(r"\s*(?P<field>[\w.:/-]+)\s*(?P<op>>=|<=|!=|=|>|<)\s*(?P<value>\"[^\"]*\"|[^,]*?)\s*(?:,|$)")
OPERATORS = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def parse_scalar(text: str) -> Scalar:
    """`true`, `12` and `1.5` as what they look like, so that ranges work; anything else, or anything in double
    quotes, is a string."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text


def parse_tags(terms: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Scalar]]:
    """`--tag` terms apart: `name` is a tag, `key=value` a metadata field. Raises ClusterError for a bad key."""
    tags: list[str] = []
    metadata: dict[str, Scalar] = {}
    for term in terms:
        key, equals, value = term.partition("=")
        if not equals:
            tags.append(term)
        elif not KEY.fullmatch(key):
            raise ClusterError(f"--tag {term}: a metadata key is {KEY_RULE}, which {key!r} is not")
        else:
            metadata[key] = parse_scalar(value)
    return tuple(tags), metadata


def parse_filter_text(text: str) -> dict[str, Any]:
    """A filter in the API's JSON form, from JSON itself or from terms joined by commas, which must all hold.

    `tags=a` means that the item has the tag. Raises ClusterError where the text is neither.
    """
    if text.lstrip().startswith("{"):
        return _parse_json(text)
    terms: list[dict[str, Any]] = []
    position = 0
    while position < len(text):
        found = TERM.match(text, position)
        if found is None:
            raise ClusterError(
                f"--filter: cannot read {text[position:].strip()!r}: write terms such as "
                "year>=2020, place=Oslo  or JSON"
            )
        terms.append(_condition(found["field"], found["op"], found["value"]))
        position = found.end()
    if not terms:
        raise ClusterError("--filter is empty: write terms such as  year>=2020, place=Oslo  or JSON")
    return terms[0] if len(terms) == 1 else {"and": terms}


def parse_part(text: str) -> dict[str, Any]:
    """A part of a mix in the API's JSON form; an image's file is read. Raises ClusterError, and OSError for a file."""
    kind, colon, rest = text.partition(":")
    value, at, weight = rest.rpartition("@")
    if not at or not DECIMAL.fullmatch(weight):
        value, weight = rest, "1"
    if not colon or kind not in ("text", "image", "id") or not value:
        raise ClusterError(f"--mix {text}: write text:WORDS, image:FILE or id:ID, and @WEIGHT at its end, as in @-0.5")
    if kind == "image":
        value = base64.b64encode(Path(value).read_bytes()).decode("ascii")
    return {kind: value, "weight": float(weight)}


def _condition(field: str, operator: str, value: str) -> dict[str, Any]:
    if field == "tags" and operator in ("=", "!="):
        has = {"field": "tags", "op": "any_of", "value": [str(value).strip('"')]}
        return has if operator == "=" else {"not": has}
    return {"field": field, "op": OPERATORS[operator], "value": parse_scalar(value)}


def _parse_json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ClusterError(f"--filter is not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(value, dict):
        raise ClusterError('--filter: the JSON form is an object such as {"field": "year", "op": "gte", "value": 2020}')
    return value
