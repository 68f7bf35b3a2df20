"""The map in a real browser: of a few photos, and of more items than it draws."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from page.map_tab import MAX_ITEMS
from tests.system.clusters import Cluster, wait_until
from tests.system.web.visit import Visit

ITEMS = MAX_ITEMS + 100
BATCH = 210
TEA = "a kettle of green tea"
TEAS = (0, 1, 2, ITEMS - 2, ITEMS - 1)
"""What is nearest to that query: three have one place on the map, two are beyond what it draws."""
MOST_CHARS = 1_000_000
COVERED_JS = """() => {
  const map = document.querySelector('.cr-map');
  map.scrollIntoView({block: 'center'});
  const spots = [...map.querySelectorAll('.cr-dot')].map((dot) => {
    const box = dot.getBoundingClientRect();
    return {dot, x: box.x + box.width / 2, y: box.y + box.height / 2};
  });
  const alone = (one) => spots.every((it) => it === one || Math.hypot(it.x - one.x, it.y - one.y) > 2);
  const covered = spots.filter((one) => document.elementFromPoint(one.x, one.y) !== one.dot && alone(one));
  return covered.map(({dot, x, y}) => ({id: dot.dataset.id, x, y}));
}"""
"""Dots that lie under others, where no other's centre is as near."""


@pytest.fixture
def many(page_cluster: Cluster) -> Iterator[str]:
    """A collection of ITEMS texts."""
    things = ("rocket", "harbour", "violin", "glacier", "bicycle", "lantern", "tiger", "castle")
    texts = [f"{things[n % 8]} by a {things[n // 8 % 8]} {n}" for n in range(ITEMS)]
    items = [{"id": f"item-{n:04}", "text": TEA if n in TEAS else text} for n, text in enumerate(texts)]
    with page_cluster.http() as http:
        assert http.post("/v1/collections", json={"name": "many"}).is_success
        try:
            for start in range(0, ITEMS, BATCH):
                batch = {"collection": "many", "items": items[start : start + BATCH]}
                answer = http.post("/v1/items", json=batch)
                assert answer.is_success, answer.text
                assert all("id" in result for result in answer.json()["results"]), answer.text
            yield "many"
        finally:
            assert http.delete("/v1/collections/many").is_success


def test_the_map(visit: Visit, photos: dict[str, Path], page_cluster: Cluster) -> None:
    visit.open()
    visit.tab("Map")
    visit.field("map-query").fill("a cup of coffee")
    visit.page.locator("#map-button").click()
    dots = visit.page.locator(".cr-map .cr-dot")
    expect(dots.first).to_be_visible()
    with page_cluster.http() as http:
        count = http.get("/v1/items", params={"limit": 1}).json()["count"]
    expect(dots).to_have_count(count)
    expect(visit.page.locator(".cr-map .cr-star")).to_have_count(1)
    expect(visit.page.locator(".cr-nearest li").first).to_contain_text("coffee.png")

    tip = visit.page.locator(".cr-tip")
    coffee = visit.page.locator('.cr-map .cr-dot[data-name="coffee.png"]')
    coffee.hover()
    expect(tip).to_contain_text("coffee.png")
    picture = tip.locator("img")
    wait_until(lambda: bool(picture.evaluate("image => image.naturalWidth > 0")), "its thumbnail is loaded")
    visit.shot("map")
    visit.page.mouse.move(0, 0)
    expect(tip).to_be_hidden()

    visit.page.locator(".cr-map").focus()
    seen = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowDown"):
        visit.page.keyboard.press(key)
        seen.add(tip.inner_text())
    assert len(seen) > 2, "the arrow keys go from dot to dot"
    visit.must_be_accessible("map")
    with visit.page.context.expect_page() as opened:
        visit.page.keyboard.press("Enter")
    assert "/v1/items/" in opened.value.url
    visit.page.set_viewport_size({"width": 390, "height": 844})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_map_of_more_than_it_draws(visit: Visit, many: str) -> None:
    visit.open()
    visit.choose_collection(many)
    visit.tab("Map")
    visit.field("map-query").fill(TEA)
    visit.page.locator("#map-button").click()
    view = visit.page.locator("#map-view")
    expect(view).to_contain_text(f"{MAX_ITEMS} of {ITEMS} items: the first in order of their ids")
    expect(view.locator(".cr-map .cr-dot")).to_have_count(MAX_ITEMS)
    expect(view.locator(".cr-nearest")).to_contain_text("Of the 5 items that are the nearest")
    expect(view.locator(".cr-nearest")).to_contain_text("3 are among the dots shown")
    assert len(view.inner_html()) < MOST_CHARS

    visit.page.locator(".cr-map").focus()
    for id in ("item-0000", "item-0001", "item-0002"):
        visit.page.keyboard.press("ArrowRight")
        expect(view.locator(".cr-shown")).to_have_attribute("data-id", id)

    covered = visit.page.evaluate(COVERED_JS)
    assert covered, "of so many some lie under others"
    for dot in covered[:: len(covered) // 5 + 1]:
        visit.page.mouse.move(dot["x"], dot["y"])
        expect(view.locator(".cr-shown")).to_have_attribute("data-id", dot["id"])
    visit.shot("map-of-many")
