"""What a model may say of a query: its words, or a few mended ones, in its language."""

from __future__ import annotations

import pytest

from encoders.errors import Unstructured
from encoders.queries import STYLES, StructuredQuery, render_query
from encoders.queries.grounding import grounded
from encoders.queries.rewrite import CAPTION, PLAIN

ASKED = "Hello, might there be somethin with a Brown dog, in the snow?"


@pytest.mark.parametrize(
    ("query", "subject"),
    [
        (ASKED, "a brown dog in the snow"),
        (ASKED, "a brown dog in deep snow"),
        ("a borwn dog in snow", "a brown dog in snow"),
        ("我记得有一张小孩在雪地里玩的", "小孩在雪地里玩"),
        ("iPhone 手机的照片", "iPhone 手机"),
        ("ｃａｆé", "café"),
    ],
)
def test_the_querys_own_words_are_a_subject(query: str, subject: str) -> None:
    assert grounded(query, f" {subject} ", None).subject == subject


@pytest.mark.parametrize(
    ("query", "subject", "why"),
    [
        (ASKED, "", "no subject"),
        (ASKED, " ,.!", "no subject"),
        (ASKED, "a dog \ufffd", "not text"),
        (ASKED, "a dog\u202e", "not text"),
        (ASKED, "雪地里的狗", "another language"),
        ("雪地里的狗", "a dog in snow", "another language"),
        (ASKED, "two red cars parked", "too little"),
        ("雪地里的狗", "一只猫在睡", "too little"),
        ("a dog", "a dog a dog", "more than the query"),
    ],
)
def test_anything_else_is_refused_with_the_reason(query: str, subject: str, why: str) -> None:
    with pytest.raises(Unstructured, match=why):
        grounded(query, subject, None)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_has_words_in_both_languages(style: str) -> None:
    assert style in render_query(StructuredQuery("a ship", style, "en"), PLAIN)
    assert render_query(StructuredQuery("船", style, "zh"), CAPTION).startswith("船的")
