"""What a person types into --tag and --filter."""

from __future__ import annotations

import pytest

from cluster.errors import ClusterError
from cluster.terms import parse_filter_text, parse_scalar, parse_tags
from retrieval.filters import parse_filter


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("false", False),
        ("Oslo", "Oslo"),
        ('"12"', "12"),
        ("2024-05-01", "2024-05-01"),
        ("1234567890123456", 1234567890123456.0),
        ("", ""),
        ('"', '"'),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    parsed = parse_scalar(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_tags_and_metadata_are_told_apart() -> None:
    assert parse_tags(["holiday", "year=2024", "place=a=b", "海", "年=2024", "straße nr.=7"]) == (
        ("holiday", "海"),
        {"year": 2024, "place": "a=b", "年": 2024, "straße nr.": 7},
    )


def test_a_bad_key_is_named() -> None:
    with pytest.raises(ClusterError, match="'9lives'"):
        parse_tags(["9lives=1"])


def test_terms_become_the_filter_that_the_api_parses() -> None:
    tree = parse_filter_text('year>=2020, place = "a, b" ,tags=holiday,colour!=red')
    assert tree == {
        "and": [
            {"field": "year", "op": "gte", "value": 2020},
            {"field": "place", "op": "eq", "value": "a, b"},
            {"field": "tags", "op": "any_of", "value": ["holiday"]},
            {"field": "colour", "op": "ne", "value": "red"},
        ]
    }
    parse_filter(tree)


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
def test_every_operator_is_one_of_the_api(operator: str) -> None:
    parse_filter(parse_filter_text(f"year{operator}2020"))


def test_an_item_without_a_tag() -> None:
    tree = parse_filter_text("tags!=holiday")
    assert tree == {"not": {"field": "tags", "op": "any_of", "value": ["holiday"]}}
    parse_filter(tree)


def test_json_passes_through() -> None:
    assert parse_filter_text(' {"or": [1]}') == {"or": [1]}


@pytest.mark.parametrize("text", ["", "  ", "year", "year>=2020, oops", "=3", "{", "{1}", "year>=2020,,"])
def test_what_is_no_filter_says_so(text: str) -> None:
    with pytest.raises(ClusterError, match="--filter"):
        parse_filter_text(text)
