"""Cleaning of texts, and which tower of the starter reads which text."""

from __future__ import annotations

import pytest

from encoders import InputError
from encoders.starter.language import choose_tower
from encoders.texts import clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a \n\t cat ", "a cat"),
        ("ｃａｔ　１２", "cat 12"),
        ("ﬁre", "fire"),
        ("a\x00cat", "a cat"),
        ("一只猫", "一只猫"),
        ("👩‍🚀", "👩‍🚀"),
        ("cafe\u0301", "café"),
    ],
)
def test_cleaned(text: str, cleaned: str) -> None:
    assert clean(text, 100) == cleaned


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "text_empty"),
        (" \u3000\u00a0\n", "text_empty"),
        ("\u200b\u200d\ufeff", "text_empty"),
        ("\x00", "text_empty"),
        ("abcdef", "text_too_long"),
        ("a\udfff", "text_not_unicode"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        clean(text, 5)
    assert (caught.value.code, caught.value.param) == (code, "text")


@pytest.mark.parametrize("text", ["a cat", "1234", "!?", "café au lait", "5 µm", "naïve — “quoted” 🐈"])
def test_english_tower(text: str) -> None:
    assert choose_tower(text) == "english"


@pytest.mark.parametrize("text", ["一只猫", "一只 cat", "a 猫", "ねこ", "고양이", "кошка", "🐈", "３月の 2 cats"])
def test_multilingual_tower(text: str) -> None:
    assert choose_tower(text) == "multilingual"
