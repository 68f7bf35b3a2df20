"""The filter language: what parses, what is refused and where, and that the JSON form is whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.base import Payload
from retrieval.errors import InvalidFilter
from retrieval.filters import (
    MAX_DEPTH,
    MAX_NODES,
    And,
    Contains,
    Exists,
    In,
    Not,
    Range,
    matches,
    parse_filter,
    to_json,
)

LEAF = {"field": "color", "op": "eq", "value": "red"}


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = LEAF
    for _ in range(depth - 1):
        tree = {"not": tree}
    return tree


def test_names_of_metadata_are_told_from_reserved_ones() -> None:
    assert parse_filter({"field": "kind", "value": "image"}) == In("kind", ("image",))
    assert parse_filter({"field": "metadata.kind", "value": "image"}) == In("metadata.kind", ("image",))
    assert parse_filter({"field": "color", "value": "red"}) == In("metadata.color", ("red",))
    assert parse_filter({"field": "颜色", "value": "红"}) == In("metadata.颜色", ("红",))


def test_each_operation_parses() -> None:
    assert parse_filter({"field": "a", "op": "ne", "value": 1}) == Not(In("metadata.a", (1,)))
    assert parse_filter({"field": "a", "op": "gte", "value": 1.5}) == Range("metadata.a", "gte", 1.5)
    assert parse_filter({"field": "tags", "op": "any_of", "value": ["x", "y"]}) == In("tags", ("x", "y"))
    assert parse_filter({"field": "ocr_text", "op": "contains", "value": "x"}) == Contains("ocr_text", "x")
    assert parse_filter({"field": "a", "op": "exists", "value": False}) == Not(Exists("metadata.a"))
    assert parse_filter({"and": [LEAF, LEAF]}) == And((parse_filter(LEAF), parse_filter(LEAF)))


BAD: list[tuple[object, str]] = [
    (None, "filter"),
    ([LEAF], "filter"),
    ({}, "filter"),
    ({"and": [LEAF], "or": [LEAF]}, "filter"),
    ({"xor": [LEAF]}, "filter"),
    ({"and": []}, "filter.and"),
    ({"and": LEAF}, "filter.and"),
    ({"or": [LEAF, 3]}, "filter.or[1]"),
    ({"not": [LEAF]}, "filter.not"),
    ({"field": 3, "value": 1}, "filter.field"),
    ({"field": "", "value": 1}, "filter.field"),
    ({"field": "metadata.", "value": 1}, "filter.field"),
    ({"field": 'a"] == 1 or id != "', "value": 1}, "filter.field"),
    ({"field": "a" * 65, "value": 1}, "filter.field"),
    ({"field": "a", "op": "like", "value": 1}, "filter.op"),
    ({"field": "a", "op": ["eq"], "value": 1}, "filter.op"),
    ({"field": "a", "op": "eq"}, "filter.value"),
    ({"field": "a", "op": "eq", "value": None}, "filter.value"),
    ({"field": "a", "op": "eq", "value": [1]}, "filter.value"),
    ({"field": "a", "op": "eq", "value": float("nan")}, "filter.value"),
    ({"field": "a", "op": "eq", "value": 10**400}, "filter.value"),
    ({"field": "a", "op": "eq", "value": "\ud800"}, "filter.value"),
    ({"field": "a", "op": "eq", "value": "x" * 1025}, "filter.value"),
    ({"field": "a", "op": "gt", "value": True}, "filter.value"),
    ({"field": "a", "op": "exists", "value": 1}, "filter.value"),
    ({"field": "a", "op": "in", "value": "abc"}, "filter.value"),
    ({"field": "a", "op": "in", "value": []}, "filter.value"),
    ({"field": "a", "op": "in", "value": [1, {}]}, "filter.value[1]"),
    ({"field": "a", "op": "in", "value": list(range(1001))}, "filter.value"),
    ({"field": "a", "op": "any_of", "value": ["x"]}, "filter.op"),
    ({"field": "tags", "op": "eq", "value": "x"}, "filter.op"),
    ({"field": "tags", "op": "any_of", "value": ["x", 1]}, "filter.value[1]"),
    ({"field": "a", "op": "contains", "value": "x"}, "filter.op"),
    ({"field": "text", "op": "eq", "value": "x"}, "filter.op"),
    ({"field": "ocr_text", "op": "contains", "value": ""}, "filter.value"),
    ({"field": "ocr_text", "op": "contains", "value": 1}, "filter.value"),
    ({"field": "a", "value": 1, "case": "lower"}, "filter"),
    ({"and": [LEAF, {"not": {"field": "a", "op": "lt", "value": []}}]}, "filter.and[1].not.value"),
    ({"or": [LEAF] * MAX_NODES}, f"filter.or[{MAX_NODES - 1}]"),
    (nested(MAX_DEPTH + 1), "filter" + ".not" * MAX_DEPTH),
]


@pytest.mark.parametrize(("json", "path"), BAD, ids=[str(json)[:60] for json, _ in BAD])
def test_what_does_not_parse_says_where(json: object, path: str) -> None:
    with pytest.raises(InvalidFilter) as caught:
        parse_filter(json)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_the_deepest_and_the_widest_allowed_parse() -> None:
    parse_filter(nested(MAX_DEPTH))
    parse_filter({"or": [LEAF] * (MAX_NODES - 1)})


@given(
    st.recursive(
        st.sampled_from(
            [LEAF, {"field": "tags", "op": "any_of", "value": ["a"]}, {"field": "n", "op": "lt", "value": 2}]
        ),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2).map(lambda terms: {"and": terms})
            | st.lists(inner, min_size=1, max_size=2).map(lambda terms: {"or": terms})
            | inner.map(lambda term: {"not": term})
        ),
        max_leaves=8,
    )
)
def test_json_and_back(json: dict[str, Any]) -> None:
    try:
        tree = parse_filter(json)
    except InvalidFilter as error:
        assert "nested more than" in error.message  # noqa: PT017 (the one reason there is)
        return
    assert parse_filter(to_json(tree)) == tree


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.sampled_from(["field", "op", "value", "and", "or", "not"]), c),
    )
)
def test_no_json_does_more_than_parse_or_be_refused(json: object) -> None:
    try:
        tree = parse_filter(json)
    except InvalidFilter as error:
        assert error.path.startswith("filter")  # noqa: PT017 (it need not raise)
    else:
        assert isinstance(matches(tree, "id", Payload(kind="text")), bool)


ITEM = Payload(
    kind="image", mime="image/png", width=640, tags=("a", "b"), metadata={"n": 1, "flag": True, "s": "1", "zero": 0}
)

MEANING: list[tuple[dict[str, Any], bool]] = [
    ({"field": "n", "value": 1.0}, True),
    ({"field": "n", "value": True}, False),
    ({"field": "n", "value": "1"}, False),
    ({"field": "flag", "value": 1}, False),
    ({"field": "flag", "op": "ne", "value": 1}, True),
    ({"field": "s", "op": "gt", "value": 0}, False),
    ({"field": "zero", "op": "exists"}, True),
    ({"field": "absent", "op": "exists"}, False),
    ({"field": "absent", "op": "ne", "value": 1}, True),
    ({"field": "absent", "op": "lt", "value": 1}, False),
    ({"not": {"field": "absent", "op": "lt", "value": 1}}, True),
    ({"field": "tags", "op": "any_of", "value": ["b", "c"]}, True),
    ({"field": "width", "op": "lte", "value": 640}, True),
    ({"field": "id", "op": "in", "value": ["x", "me"]}, True),
]


@pytest.mark.parametrize(("json", "expected"), MEANING, ids=[str(json) for json, _ in MEANING])
def test_meaning(json: dict[str, Any], expected: bool) -> None:
    assert matches(parse_filter(json), "me", ITEM) is expected
