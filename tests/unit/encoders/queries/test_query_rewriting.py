"""Rewriting by template: what asks is dropped, what is asked for stays word by word, in English and Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.queries import prompt_for, rewrite_query, structure_query
from encoders.queries.rewrite import CAPTION, PLAIN

ASKED = [
    ("show me pictures of a dog on a beach", "a dog on a beach", None),
    ("Show me all the photos of Anna!", "Anna", None),
    ("Could you show me some paintings of sunflowers, please?", "sunflowers", "painting"),
    ("please find me an image with two cats", "two cats", None),
    ("I'm looking for photos showing a red car", "a red car", None),
    ("I want to see snow", "snow", None),
    ("search for mountains at dawn", "mountains at dawn", None),
    ("find a red car", "a red car", None),
    ("are there any sketches of bridges?", "bridges", "sketch"),
    ("A child climbs the stairs .", "a child climbs the stairs", None),
    ("请帮我找一张海边日落的照片", "海边日落", None),
    ("给我看看猫的图片", "猫", None),
    ("有没有狗的照片吗？", "狗", None),
    ("我想看雪山", "雪山", None),
    ("我要一幅向日葵的油画", "向日葵", "painting"),
    ("找一张小女孩在雪地里的照片", "小女孩在雪地里", None),
    ("搜索红色汽车", "红色汽车", None),
    ("穿着连衣裙的小女孩。", "穿着连衣裙的小女孩", None),
]

KEPT = [
    "search and rescue team",
    "show jumping horse",
    "finding Nemo",
    "a map of the world",
    "pictures on a wall",
    "a man please with himself",
    "看书的女孩",
    "找零钱的人",
    "世界地图",
    "请客的人",
    "一张桌子",
    "画画的小孩",
    "我在家",
]


@pytest.mark.parametrize(("query", "subject", "style"), ASKED)
def test_what_asks_is_dropped(query: str, subject: str, style: str | None) -> None:
    structured = structure_query(query)
    assert (structured.subject, structured.style) == (subject, style)


@pytest.mark.parametrize("query", KEPT)
def test_words_that_only_look_like_asking_are_kept(query: str) -> None:
    assert structure_query(query).subject == query
    assert rewrite_query(query, PLAIN) == query


@pytest.mark.parametrize("query", ["照片", "show me", "请帮我找", "please", "photos", "?"])
def test_a_query_that_only_asks_is_not_emptied(query: str) -> None:
    assert structure_query(query).subject


def test_the_language_is_chinese_where_there_is_a_chinese_character() -> None:
    assert structure_query("a dog 狗").language == "zh"
    assert structure_query("un café à Paris").language == "en"


def test_the_prompt_is_the_encoders() -> None:
    assert rewrite_query("show me pictures of A red car", CAPTION) == "a photo of a red car"
    assert rewrite_query("给我看看红色汽车的图片", CAPTION) == "红色汽车的照片"
    assert rewrite_query("show me pictures of a red car", PLAIN) == "a red car"
    assert prompt_for("dual-tower") == CAPTION
    assert prompt_for("qwen3-vl") == prompt_for("starter") == PLAIN


def test_a_style_that_was_asked_for_is_said_to_every_encoder() -> None:
    for prompt in (PLAIN, CAPTION):
        assert rewrite_query("some illustrations of old ships", prompt) == "an illustration of old ships"
        assert rewrite_query("请帮我找一张古船的素描", prompt) == "古船的素描"


def test_braces_in_a_query_are_text() -> None:
    assert rewrite_query("pictures of a {} sign", CAPTION) == "a photo of a {} sign"


@given(st.text(min_size=1, max_size=60))
def test_any_text_gives_the_same_answer_each_time_and_never_an_empty_one(query: str) -> None:
    rewritten = rewrite_query(query, PLAIN)
    assert rewritten == rewrite_query(query, PLAIN)
    assert bool(rewritten.strip()) == bool(query.strip())
