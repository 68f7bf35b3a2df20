"""What a person fills in becomes the API's body, or an error that says what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from page.asking import NEGATIVE_WEIGHT, Query, Scope
from page.filter_form import Condition, FormFault, as_filter, as_value
from page.site import split_list
from page.words import Words

EN = Words("en")


def mix_of(query: Query) -> list[tuple[Any, float]]:
    fields, image = query.body(EN)
    assert image is None, "an image of a mix travels in it"
    return [(part.get("text", part.get("image")), part["weight"]) for part in fields["mix"]]


def test_words_alone_and_an_image_alone_go_as_they_are() -> None:
    fields, image = Query("  a cat ").body(EN)
    assert (fields, image) == (
        {"text": "a cat", "mode": "dense", "collection": "default", "target": "any", "top_k": 12},
        None,
    )
    fields, image = Query(image=b"png").body(EN)
    assert image == b"png"
    assert "text" not in fields
    assert "mix" not in fields


def test_both_are_mixed_by_weight() -> None:
    assert mix_of(Query("a cat", b"png", 0.3)) == [("a cat", 0.7), ("cG5n", 0.3)]
    fields, image = Query("a cat", b"png", mode="hybrid").body(EN)
    assert (fields["text"], image) == ("a cat", b"png"), "a search by words too needs the words by themselves"


def test_what_hits_should_be_unlike_pushes_away() -> None:
    assert mix_of(Query("a cat", negatives=("at night", "人"))) == [
        ("a cat", 1.0), ("at night", NEGATIVE_WEIGHT), ("人", NEGATIVE_WEIGHT),
    ]  # fmt: skip
    assert mix_of(Query("", b"png", negatives=("x",)))[0] == ("cG5n", 1.0)
    with pytest.raises(FormFault, match="meaning"):
        Query("a cat", negatives=("x",), mode="hybrid").body(EN)
    with pytest.raises(FormFault, match="Type something"):
        Query(" ", negatives=("x",)).body(EN)


def test_where_to_look_goes_with_every_query() -> None:
    scope = Scope("few", "image", 3, {"field": "year", "op": "eq", "value": 2020}, fold=True)
    expected = {
        "collection": "few",
        "target": "image",
        "top_k": 3,
        "filter": {"field": "year", "op": "eq", "value": 2020},
        "group_duplicates": True,
    }
    assert Query("a", scope=scope).body(EN)[0].items() >= expected.items()
    assert scope.fields() == expected


def test_a_filter_of_all_lines_that_are_filled_in() -> None:
    assert as_filter(EN, [], [Condition(), Condition(op="exists")]) is None
    year = Condition("year", "gte", "2020")
    assert as_filter(EN, [], [year]) == {"field": "year", "op": "gte", "value": 2020}
    assert as_filter(EN, ["a", "b"], [year, Condition(" colour ", "exists", "ignored")]) == {
        "and": [
            {"field": "tags", "op": "any_of", "value": ["a", "b"]},
            {"field": "year", "op": "gte", "value": 2020},
            {"field": "colour", "op": "exists", "value": True},
        ]
    }
    assert as_filter(EN, [], [Condition("text", "contains", "2020")]) == {
        "field": "text", "op": "contains", "value": "2020",
    }  # fmt: skip


def test_a_line_that_is_half_filled_in_is_told() -> None:
    with pytest.raises(FormFault, match="which field"):
        as_filter(EN, [], [Condition("", "eq", "2020")])
    with pytest.raises(FormFault, match="“year” has no value"):
        as_filter(EN, [], [Condition("year", "eq", " ")])


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("2020", 2020), ("-1.5", -1.5), ("True", True), ("false", False), ("red", "red"), ('"2020"', "2020"),
        ("“真”", "真"), ("nan", "nan"), ("inf", "inf"), ("1e400", "1e400"), ('"', '"'), ("１２", 12),
    ],
)  # fmt: skip
def test_values_as_people_type_them(given: str, value: Any) -> None:
    found = as_value(given)
    assert found == value
    assert type(found) is type(value)


def test_lists_as_people_type_them() -> None:
    assert split_list(" pets， cats,,pets、dogs ") == ["pets", "cats", "dogs"]
    assert split_list("") == []
