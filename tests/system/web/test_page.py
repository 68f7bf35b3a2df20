"""The web page in a real browser, over a real cluster with the starter encoder: what a person does, and what shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cluster.demo.photos import bundled_photos
from tests.system.clusters import Cluster, wait_until
from tests.system.web.visit import Visit

PHONE = {"width": 390, "height": 844}


# The first test: the others put photos in.
def test_with_nothing_stored_it_says_so(visit: Visit) -> None:
    visit.open()
    expect(visit.page.locator("#search-results")).to_contain_text("Nothing is indexed yet: add photos in the tab Index")
    visit.page.locator("#search-button").click()
    expect(visit.page.locator("#search-results")).to_contain_text("Type something to look for")
    visit.search("a cat")
    expect(visit.page.locator("#search-results")).to_contain_text("Nothing is indexed yet")
    visit.shot("empty")


def test_three_files_of_which_one_is_broken(visit: Visit, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff but no photo")
    bundled = bundled_photos()
    visit.open()
    visit.tab("Index")
    given = [bundled["coffee.png"], broken, bundled["chelsea.png"]]
    visit.page.locator("#add-files input[type=file]").set_input_files(given)
    expect(visit.page.locator("#add-files")).to_contain_text("chelsea")
    visit.field("add-tags").fill("测试，trial")
    visit.page.locator("#add-button").click()
    outcome = visit.page.locator("#add-outcome")
    expect(outcome).to_contain_text("2 added, 0 there already, 1 failed")
    rows = outcome.locator("tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == [path.name for path in given]
    expect(rows.nth(1)).to_contain_text("failed: ")
    expect(rows.nth(1)).to_contain_text("image")

    stored = visit.page.locator("#browse-items .cr-card")
    expect(stored).to_have_count(2)
    expect(visit.page.locator("#browse-items")).to_contain_text("测试, trial")
    visit.must_be_accessible("index")
    visit.shot("index")
    coffee = stored.filter(has_text="coffee.png")
    visit.page.once("dialog", lambda dialog: dialog.accept())
    coffee.get_by_role("button", name="Delete").click()
    expect(stored).to_have_count(1)
    expect(visit.page.locator("#browse-items")).to_contain_text("“coffee.png” was deleted")


def test_chinese_and_english_words_find_the_photo(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    for words, name in (("a cup of coffee", "coffee.png"), ("一只猫", "chelsea.png"), ("一杯咖啡", "coffee.png")):
        cards = visit.search(words)
        expect(cards.first).to_contain_text(name)
        assert re.search(r"^0\.\d{4}$", cards.first.inner_text(), re.MULTILINE), "its cosine shows"
    summary = visit.page.locator("#search-results .cr-note").inner_text()
    assert re.search(r"6 hits in [\d.]+ ms \(.*read .*search [\d.]+", summary), summary
    pictures = visit.page.locator("#search-results img")
    assert all(picture.get_attribute("alt") for picture in pictures.all())
    wait_until(lambda: bool(pictures.first.evaluate("image => image.naturalWidth > 0")), "the photo is loaded")
    visit.must_be_accessible("search")
    visit.shot("search")


def test_an_uploaded_photo_finds_itself_and_leads_to_what_is_like_it(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    visit.page.locator("#search-image input[type=file]").set_input_files(photos["chelsea.png"])
    expect(visit.page.locator("#search-image img")).to_be_visible()
    visit.page.locator("#search-button").click()
    cards = visit.page.locator("#search-results .cr-card")
    expect(cards.first).to_contain_text("chelsea.png")
    assert float(re.findall(r"\d\.\d{4}", cards.first.inner_text())[0]) > 0.99
    cards.first.get_by_role("button", name="More like this").click()
    results = visit.page.locator("#search-results")
    expect(results).to_contain_text("More like chelsea.png: 5 hits")
    assert "chelsea.png" not in cards.all_inner_texts()[0], "an item is not among its own neighbours"
    visit.shot("more-like-this")


def test_the_embedding_of_a_text_and_a_photo_compared(
    visit: Visit, photos: dict[str, Path], tmp_path: Path, page_cluster: Cluster
) -> None:
    visit.open()
    visit.tab("Embedding")
    visit.field("embedding-text-a").fill("a cup of coffee")
    visit.page.locator("#embedding-image-b input[type=file]").set_input_files(photos["coffee.png"])
    expect(visit.page.locator("#embedding-image-b img")).to_be_visible()
    visit.page.locator("#embedding-button").click()
    view = visit.page.locator("#embedding-view")
    expect(view.locator("svg")).to_have_count(2)
    with page_cluster.http() as http:
        model = http.get("/v1/models").json()["data"][0]
        hit = http.post("/v1/search", json={"text": "a cup of coffee", "top_k": 1}).json()["hits"][0]
    expect(view).to_contain_text(model["fingerprint"])
    assert float(view.locator("strong").inner_text()) == pytest.approx(hit["score"], abs=1e-4), "as a search scores it"
    with visit.page.expect_download() as download:
        view.get_by_role("link", name="Download NPY").first.click()
    saved = tmp_path / "a.npy"
    download.value.save_as(saved)
    assert download.value.suggested_filename == "embedding-A.npy"
    assert saved.stat().st_size == 128 + 4 * model["dim"], "NumPy's header and float32"
    visit.must_be_accessible("embedding")
    visit.shot("embedding")


def test_the_heat_map(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    visit.tab("Match")
    visit.page.locator("#match-images input[type=file]").set_input_files([photos["coffee.png"], photos["chelsea.png"]])
    expect(visit.page.locator("#match-images")).to_contain_text("chelsea")
    visit.page.locator("#match-texts textarea").fill("a cup of coffee\n一只猫\n")
    visit.page.locator("#match-button").click()
    rows = visit.page.locator("#match-view tbody tr")
    expect(rows).to_have_count(2)
    cosines = [[float(cell) for cell in row.locator("td").all_inner_texts()] for row in rows.all()]
    assert cosines[0][0] > cosines[0][1]
    assert cosines[1][1] > cosines[1][0]
    expect(visit.page.locator("#match-view thead")).to_contain_text("chelsea.png")
    picture = visit.page.locator("#match-view thead img").first
    wait_until(lambda: bool(picture.evaluate("image => image.naturalWidth > 0")), "the column's photo is loaded")
    visit.must_be_accessible("match")
    visit.shot("match")


def test_the_status(visit: Visit, page_cluster: Cluster) -> None:
    visit.open()
    visit.tab("Status")
    view = visit.page.locator("#status-view")
    expect(view).to_contain_text("ready")
    expect(view).to_contain_text("starter")
    with page_cluster.http() as http:
        expect(view).to_contain_text(http.get("/v1/models").json()["data"][0]["fingerprint"])
    expect(view.locator("tr", has_text="Encoder")).to_contain_text("1 running")
    expect(view.locator("tr", has_text="search")).to_contain_text(re.compile(r"[\d.]+ ms"))
    expect(view).to_contain_text(re.compile(r"\d+ % of \d+ inputs were there already"))
    expect(view).to_contain_text("0 of searches, 0 of indexing")
    visit.must_be_accessible("status")
    visit.shot("status")


def test_in_chinese_on_a_phone(visit: Visit, photos: dict[str, Path]) -> None:
    visit.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    visit.open()
    visit.page.get_by_role("link", name="中文").click()
    visit.page.wait_for_url("**/ui/zh/")
    expect(visit.page.locator("#search-results")).to_contain_text("已收录")
    assert visit.page.locator("html").get_attribute("lang") == "zh-CN"
    cards = visit.search("一杯咖啡")
    expect(cards.first).to_contain_text("coffee.png")
    expect(cards.first.get_by_role("button")).to_have_text("找相似")
    expect(visit.page.locator("#search-results .cr-note")).to_contain_text("个结果")
    visit.shot("phone-chinese")
    for name in ("收录", "向量", "匹配", "分布图", "状态"):
        visit.tab(name)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"the tab {name} is {width} px wide"
    expect(visit.page.locator("#status-view")).to_contain_text("就绪")
    visit.must_be_accessible("status")
    visit.shot("phone-chinese-status")
