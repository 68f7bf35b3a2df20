"""The web page in a real browser, over a real cluster with the starter encoder: what a person does, and what shows.

The browser is the system's Chromium; without one these tests are skipped. Screenshots go to the folder that
`--basetemp` gives, or to `page-screenshots` where PAGE_SCREENSHOTS names another.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from cluster.demo.photos import bundled_photos
from tests.system.clusters import Cluster, started, wait_until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SHOWN_MS = 20_000
PHONE = {"width": 390, "height": 844}
PHOTOS = ("coffee.png", "chelsea.png", "rocket.jpg", "flower.jpg", "china.jpg", "motorcycle_left.png")


@dataclass
class Visit:
    """One tab of a browser, and what it did that a person does not see."""

    page: Page
    url: str
    shots: Path
    errors: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def open(self, path: str = "/ui/") -> None:
        self.page.goto(self.url + path)
        expect(self.page.locator("#search-results .cr-note")).to_be_visible(timeout=SHOWN_MS)

    def tab(self, name: str) -> None:
        """Opens a tab; on a narrow screen those that do not fit are in a menu."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if not tab.is_visible():
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
            return
        tab.click()

    def search(self, words: str) -> Locator:
        """The cards that a search by words brings, best first."""
        box = self.page.locator("#search-text").locator("textarea, input")
        box.fill(words)
        summary = self.page.locator("#search-results .cr-note")
        before = summary.inner_text()
        self.page.locator("#search-button").click()
        expect(summary).not_to_have_text(before, timeout=SHOWN_MS)
        return self.page.locator("#search-results .cr-card")

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    def must_be_clean(self) -> None:
        assert self.errors == []
        assert self.left == [], "a request left the machine"


@pytest.fixture(scope="module")
def page_cluster(tmp_path_factory: pytest.TempPathFactory, starter_cache: Path) -> Iterator[Cluster]:
    settings = {
        "CROSSRAY_ENCODER__NAME": "starter",
        "CROSSRAY_CACHE_DIR": str(starter_cache),
        "CROSSRAY_PAGE__ENABLED": "true",
    }
    with started(Cluster(tmp_path_factory.mktemp("page"), settings)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as driver:
        # Without a sandbox because tests may run as root, which Chromium refuses otherwise; it sees only our own page.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("PAGE_SCREENSHOTS") or tmp_path_factory.mktemp("page-screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(browser: Browser, page_cluster: Cluster, shots: Path) -> Iterator[Visit]:
    """A fresh browser profile; at the end nothing may have gone wrong behind what is seen."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    one = Visit(context.new_page(), page_cluster.url, shots)

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error":
            one.errors.append(f"{message.text} {message.location}")

    one.page.on("console", hear)
    one.page.on("pageerror", lambda error: one.errors.append(str(error)))
    one.page.on("request", lambda request: one.left.append(request.url) if leaves(request.url) else None)
    one.page.set_default_timeout(SHOWN_MS)
    yield one
    context.close()
    one.must_be_clean()


def leaves(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


@pytest.fixture(scope="module")
def photos(page_cluster: Cluster) -> dict[str, Path]:
    """A few of the bundled photos, stored through the API."""
    found = {name: path for name, path in bundled_photos().items() if name in PHOTOS}
    assert len(found) == len(PHOTOS)
    with page_cluster.http() as http:
        for name, path in found.items():
            answer = http.post("/v1/items", data={"source": name}, files={"image": path.read_bytes()})
            assert answer.status_code in (200, 201), answer.text
    return found


# The first test: the others put photos in.
def test_with_nothing_stored_it_says_so(visit: Visit) -> None:
    visit.open()
    expect(visit.page.locator("#search-results")).to_contain_text("Nothing is indexed yet: add photos in the tab Add")
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
    visit.tab("Add")
    given = [bundled["coffee.png"], broken, bundled["chelsea.png"]]
    visit.page.locator("#add-files input[type=file]").set_input_files(given)
    expect(visit.page.locator("#add-files")).to_contain_text("chelsea")
    visit.page.locator("#add-tags").locator("textarea, input").fill("测试，trial")
    visit.page.locator("#add-button").click()
    outcome = visit.page.locator("#add-outcome")
    expect(outcome).to_contain_text("2 added, 0 there already, 1 failed", timeout=SHOWN_MS)
    rows = outcome.locator("tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == [path.name for path in given]
    expect(rows.nth(1)).to_contain_text("failed: ")
    expect(rows.nth(1)).to_contain_text("image")

    stored = visit.page.locator("#browse-items .cr-card")
    expect(stored).to_have_count(2)
    expect(visit.page.locator("#browse-items")).to_contain_text("测试, trial")
    visit.shot("add")
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
    assert re.search(r"6 hits in [\d.]+ ms \(read .*search [\d.]+", summary), summary
    pictures = visit.page.locator("#search-results img")
    assert all(picture.get_attribute("alt") for picture in pictures.all())
    wait_until(lambda: bool(pictures.first.evaluate("image => image.naturalWidth > 0")), 10, "the photo is loaded")
    visit.shot("search")


def test_an_uploaded_photo_finds_itself_and_leads_to_what_is_like_it(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    visit.page.locator("#search-image input[type=file]").set_input_files(photos["chelsea.png"])
    expect(visit.page.locator("#search-image img")).to_be_visible()
    visit.page.locator("#search-button").click()
    cards = visit.page.locator("#search-results .cr-card")
    expect(cards.first).to_contain_text("chelsea.png", timeout=SHOWN_MS)
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
    visit.page.locator("#embedding-text-a").locator("textarea, input").fill("a cup of coffee")
    visit.page.locator("#embedding-image-b input[type=file]").set_input_files(photos["coffee.png"])
    expect(visit.page.locator("#embedding-image-b img")).to_be_visible()
    visit.page.locator("#embedding-button").click()
    view = visit.page.locator("#embedding-view")
    expect(view.locator("svg")).to_have_count(2, timeout=SHOWN_MS)
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
    visit.shot("embedding")


def test_the_heat_map(visit: Visit, photos: dict[str, Path]) -> None:
    visit.open()
    visit.tab("Match")
    visit.page.locator("#match-images input[type=file]").set_input_files([photos["coffee.png"], photos["chelsea.png"]])
    expect(visit.page.locator("#match-images")).to_contain_text("chelsea")
    visit.page.locator("#match-texts textarea").fill("a cup of coffee\n一只猫\n")
    visit.page.locator("#match-button").click()
    rows = visit.page.locator("#match-view tbody tr")
    expect(rows).to_have_count(2, timeout=SHOWN_MS)
    cosines = [[float(cell) for cell in row.locator("td").all_inner_texts()] for row in rows.all()]
    assert cosines[0][0] > cosines[0][1]
    assert cosines[1][1] > cosines[1][0]
    expect(visit.page.locator("#match-view thead")).to_contain_text("chelsea.png")
    picture = visit.page.locator("#match-view thead img").first
    wait_until(lambda: bool(picture.evaluate("image => image.naturalWidth > 0")), 10, "the column's photo is loaded")
    visit.shot("match")


def test_the_status(visit: Visit, page_cluster: Cluster) -> None:
    visit.open()
    visit.tab("Status")
    view = visit.page.locator("#status-view")
    expect(view).to_contain_text("ready")
    expect(view).to_contain_text("starter")
    with page_cluster.http() as http:
        expect(view).to_contain_text(http.get("/v1/models").json()["data"][0]["fingerprint"])
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
    for name in ("添加", "向量", "匹配", "状态"):
        visit.tab(name)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], f"the tab {name} is {width} px wide"
    visit.shot("phone-chinese-status")


def test_a_page_whose_process_was_killed_comes_back(visit: Visit, page_cluster: Cluster) -> None:
    replica = page_cluster.replica("Page")
    assert replica is not None
    replica.kill()
    with page_cluster.http() as http:
        assert http.get("/health/ready").status_code == 200, "the API does not need the page"
        wait_until(lambda: http.get("/ui/").status_code == 200, 90, "the page is back")
    visit.open()
