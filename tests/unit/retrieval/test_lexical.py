"""Tokens of texts and terms of queries."""

from __future__ import annotations

import pytest

from retrieval.lexical import MAX_TERMS, Term, terms, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two DOGS, running!", ["two", "dogs", "running"]),
        ("海边日落", ["海边", "边日", "日落", "落"]),
        ("一只dog在海边", ["一只", "只", "dog", "在海", "海边", "边"]),
        ("ＡＢＣ１２３ Straße", ["abc123", "strasse"]),
        ("Café crème, が", ["cafe", "creme", "が"]),
        ("snake_case x-ray", ["snake", "case", "x", "ray"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー", "ー"]),
        ("서울 여행", ["서울", "울", "여행", "행"]),
        ("  \t—!？ ", []),
    ],
)
def test_a_text_is_cut_into_words_and_pairs(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dogs and DOGS", [Term("dogs"), Term("and")]),
        ("日落", [Term("日落")]),
        ("猫", [Term("猫", is_prefix=True)]),
        ('" OR text:* NEAR(', [Term("or"), Term("text"), Term("near")]),
        ("!?", []),
    ],
)
def test_a_query_looks_for_each_of_its_terms_once(query: str, expected: list[Term]) -> None:
    assert terms(query) == expected


@pytest.mark.parametrize("text", ["小猫在睡觉", "一只猫", "猫"])
def test_one_character_is_a_prefix_of_a_token_wherever_it_stands(text: str) -> None:
    (term,) = terms("猫")
    assert any(token.startswith(term.token) for token in tokens(text))


def test_a_long_query_is_bounded() -> None:
    assert len(terms(" ".join(f"w{n}" for n in range(1000)))) == MAX_TERMS
