"""The tab Map, over the real API with the fake encoder."""

from __future__ import annotations

import re

import numpy as np
import pytest

from page.site import Site
from tests.unit.deployments.conftest import Picture
from tests.unit.deployments.test_relevance import COLOURS

pytest.importorskip("gradio", reason="the tabs are Gradio's")

from page.map_tab import draw
from page.map_view import Places, map_view
from page.words import Words


async def test_the_map_and_a_query_in_it(site: Site, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "at least 3 items; here are 0" in await draw(site, "")
    ids = [(await site.api.store(picture(colour), colour))["id"] for colour in COLOURS]
    alone = await draw(site, " ")
    assert "All 10 items." in alone
    assert sorted(re.findall(r'data-id="([^"]+)"', alone)) == sorted(ids)
    assert "cr-star" not in alone
    asked = await draw(site, "a red wall")
    assert asked.count('<circle class="cr-dot cr-dot-image cr-near"') == 5
    assert asked.count('<path class="cr-star"') == 2, "on the map and in its legend"
    assert re.search(r"<ol><li>red <code>0\.\d{4}", asked), "the nearest by cosine, best first"
    for number in re.findall(r' c[xy]="([^"]+)"', asked):
        assert 0 <= float(number) <= 1000
    monkeypatch.setattr("page.map_tab.MAX_ITEMS", 4)
    monkeypatch.setattr("page.map_tab.PAGE_ITEMS", 3)
    some = await draw(site, "")
    assert "4 of 10 items: the first in order of their ids" in some
    assert re.findall(r'data-id="([^"]+)"', some) == sorted(ids)[:4]


async def test_it_says_how_many_of_the_nearest_are_not_drawn(
    site: Site, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [(await site.api.store(picture(colour), colour))["id"] for colour in COLOURS]
    monkeypatch.setattr("page.map_tab.MAX_ITEMS", len(ids) - 1)
    missing = next(colour for colour, id in zip(COLOURS, ids, strict=True) if id == max(ids))
    asked = await draw(site, f"a {missing} wall")
    assert "Of the 5 items that are the nearest" in asked
    assert "4 are among the dots shown" in asked
    assert asked.count('<circle class="cr-dot cr-dot-image cr-near"') == 4


def test_many_dots_are_smaller() -> None:
    def radius(count: int) -> float:
        items = [{"id": str(row), "kind": "text"} for row in range(count)]
        spots = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
        found = re.search(r' r="([\d.]+)"', map_view(Words("en"), Places(items, spots)))
        assert found is not None
        return float(found[1])

    assert radius(3) == radius(500) == 5.0
    assert radius(720) < 5.0
    assert radius(2000) == 3.0
