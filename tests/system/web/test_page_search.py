"""The tab Search in a real browser: weights, what hits should be unlike, filters, ways to search, collections."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.system.clusters import Cluster
from tests.system.web.visit import Visit

DROP_JS = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, {type: 'image/png'}));
  const drop = new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true});
  document.querySelector('#search-image button').dispatchEvent(drop);
}"""

COPY_JS = """async (data) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({'image/png': new Blob([bytes], {type: 'image/png'})})]);
}"""


def test_a_photo_that_is_dropped_and_mixed_with_words(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    data = base64.b64encode(photos["chelsea.png"].read_bytes()).decode()
    visit.page.evaluate(DROP_JS, ["cat.png", data])
    expect(visit.page.locator("#search-image img")).to_be_visible()
    weight = visit.page.locator("#search-image-share input[type=number]")
    for share, first in (("0.9", "chelsea.png"), ("0.1", "coffee.png")):
        weight.fill(share)
        weight.press("Tab")
        expect(visit.search("a cup of coffee").first).to_contain_text(first)
    visit.shot("mixed")


def test_a_photo_that_is_pasted(visit: Visit, photos: dict[str, Path]) -> None:
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.open()
    visit.page.evaluate(COPY_JS, base64.b64encode(photos["chelsea.png"].read_bytes()).decode())
    visit.page.get_by_role("button", name="Paste from clipboard").click()
    expect(visit.page.locator("#search-image img")).to_be_visible()
    expect(visit.search().first).to_contain_text("chelsea.png")


def test_options_of_a_search(visit: Visit, photos: dict[str, Path], page_cluster: Cluster) -> None:
    with page_cluster.http() as http:
        for year in (2020, 2021):
            item = {"id": f"note-{year}", "text": f"a note of {year} about tea", "metadata": {"year": year}}
            assert http.post("/v1/items", json=item).is_success
    visit.open()
    visit.choose("search-mode", "words")
    cards = visit.search("tea")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text(re.compile(r"words \d+\.\d{3}"))
    visit.unfold_options()
    visit.field("filter-field-1").fill("year")
    visit.field("filter-value-1").fill("2021")
    expect(visit.search("tea")).to_have_count(1)
    visit.choose("search-mode", "meaning")
    visit.field("search-negatives").fill("a cup of coffee")
    expect(visit.search("a warm drink").first).to_contain_text("note of 2021")
    expect(visit.page.locator("#search-results")).to_contain_text("is not known")
    visit.field("filter-field-1").fill("year of what?!")
    visit.search("tea")
    expect(visit.page.locator("#search-results [role=alert]")).to_contain_text("not a field name")
    visit.choose("search-mode", "both")
    visit.search("tea")
    expect(visit.page.locator("#search-results [role=alert]")).to_contain_text("choose “meaning”")
    visit.must_be_accessible("search")
    visit.shot("search-options")
    with page_cluster.http() as http:
        for year in (2020, 2021):
            assert http.delete(f"/v1/items/note-{year}").is_success


def test_another_collection(visit: Visit, photos: dict[str, Path], page_cluster: Cluster) -> None:
    visit.open()
    expect(visit.page.locator("#collection")).to_be_hidden()
    with page_cluster.http() as http:
        assert http.post("/v1/collections", json={"name": "few"}).is_success
        files = {"image": photos["rocket.jpg"].read_bytes()}
        assert http.post("/v1/items", data={"source": "only one", "collection": "few"}, files=files).is_success
    visit.open()
    visit.choose_collection("few")
    expect(visit.page.locator("#search-results")).to_contain_text("1 items are indexed.")
    cards = visit.search("a rocket")
    expect(cards).to_have_count(1)
    expect(cards.first).to_contain_text("only one")
    picture = cards.first.locator("img")
    assert "collection=few" in (picture.get_attribute("src") or "")
    visit.tab("Index")
    expect(visit.page.locator("#browse-items .cr-card")).to_have_count(1)
    with page_cluster.http() as http:
        assert http.delete("/v1/collections/few").is_success
