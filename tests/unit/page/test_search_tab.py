"""The tab Search, over the real API with the fake encoder."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from page.asking import Query, Scope
from page.site import Site
from page.words import Words
from tests.unit.deployments.conftest import Picture
from tests.unit.deployments.test_relevance import COLOURS
from tests.unit.page.conftest import Photo

pytest.importorskip("gradio", reason="the tabs are Gradio's")

from page.search_tab import greeting, search, search_like


def cards(html: str) -> list[str]:
    """The ids of the cards, in order."""
    return [unescape(id) for id in re.findall(r'<li class="cr-card" data-id="([^"]*)"', html)]


async def test_a_search_with_no_words_and_no_image_asks_for_one(site: Site) -> None:
    assert "Type something" in await search(site, Query(" \n "))


async def test_search_by_words_and_by_image_and_what_is_like_it(site: Site, photo: Photo) -> None:
    ids = {}
    for name, colour in (("red.png", "red"), ("blue.png", "blue")):
        ids[name] = (await site.api.store(photo(name, colour).read_bytes(), name))["id"]
    assert "2 items are indexed." in await greeting(site)

    found = await search(site, Query(image=photo("again.png", "red").read_bytes()))
    assert cards(found)[0] == ids["red.png"]
    assert "1.0000" in found
    assert 'alt="red.png"' in found
    assert f'src="v1/items/{ids["red.png"]}/thumbnail"' in found

    like = await search_like(site, ids["red.png"], "red.png", Scope())
    assert "More like red.png: 1 hits" in like
    assert cards(like) == [ids["blue.png"]]

    texts = await search(site, Query("a cat", scope=Scope(target="text")))
    assert "No hits: none of the 2 items is of the kind asked for." in texts


async def test_what_the_api_refuses_is_said_as_it_says_it(site: Site) -> None:
    answer = await search(site, Query(image=b"not an image"))
    assert 'role="alert"' in answer
    assert "The API says: " in answer
    chinese = await search(replace(site, words=Words("zh")), Query(image=b"not an image"))
    assert "不支持这种图片格式" in chinese or "图片文件已损坏或不完整" in chinese
    assert '<span class="cr-why" lang="en">' in chinese
    assert "give a text" in await search(site, Query(image=b"not an image", mode="hybrid"))


async def test_a_filter_that_passes_nothing_and_one_that_the_api_refuses(site: Site, photo: Photo) -> None:
    await site.api.store(photo("red.png", "red").read_bytes(), "red.png", ["a"])

    def asked(filter: dict[str, object]) -> Query:
        return Query("red", scope=Scope(filter=filter))

    assert "red.png" in await search(site, asked({"field": "tags", "op": "any_of", "value": ["a"]}))
    none = await search(site, asked({"field": "width", "op": "gte", "value": 1000}))
    assert "none of the 1 items passes the filter" in none
    refused = await search(site, asked({"field": "tags", "op": "gte", "value": 3}))
    assert "tags takes any_of or exists" in refused
    by_image = Query(
        image=photo("x.png", "red").read_bytes(), scope=Scope(filter={"field": "width", "value": 1}, fold=True)
    )
    assert "passes the filter" in await search(site, by_image), "a form carries filter and grouping too"


async def test_a_search_by_words_alone(site: Site, photo: Photo) -> None:
    await site.api.store(photo("red.png", "red").read_bytes(), "red.png")
    assert "none of the 1 items holds one of these words" in await search(site, Query("boat", mode="text"))


async def test_what_hits_are_worth_and_when_nothing_is_relevant(site: Site, picture: Picture) -> None:
    for colour in COLOURS:
        for width in (31, 32, 33):
            await site.api.store(picture(colour, size=(width, 24)), f"{colour}-{width}")
    found = await search(site, Query("a red wall", scope=Scope(target="image")))
    assert "Nothing here" not in found
    relevance = [int(percent) for percent in re.findall(r"relevance (\d+) %", found)]
    assert relevance == sorted(relevance, reverse=True)
    assert relevance[0] > 50

    unlike = await search(site, Query("quarterly revenue", scope=Scope(target="image")))
    assert "Nothing here is likely what you asked for" in unlike
    assert "unlike the captions" in unlike
    assert len(cards(unlike)) == 12, "it says so, and shows what comes nearest"

    by_image = await search(site, Query(image=picture("red"), scope=Scope(target="image")))
    assert "is not known" in by_image
    assert re.search(r"above \d+\.\d % of a sample", by_image)

    folded = await search(site, Query(image=picture("red"), scope=Scope(target="image", top_k=5, fold=True)))
    assert "near-duplicates" in folded
    unfolded = await search(site, Query(image=picture("red"), scope=Scope(target="image", top_k=5)))
    assert "near-duplicates" not in unfolded


async def test_words_and_image_mixed_find_between_them(site: Site, picture: Picture) -> None:
    for colour in ("red", "blue"):
        await site.api.store(picture(colour), colour)
    red_words = await search(site, Query("a red wall", picture("blue"), 0.1))
    blue_image = await search(site, Query("a red wall", picture("blue"), 0.9))
    assert [">red<" in html.split("</li>")[0] for html in (red_words, blue_image)] == [True, False]
    unlike = await search(site, Query("a wall", negatives=("red",)))
    assert ">blue<" in unlike.split("</li>")[0]
