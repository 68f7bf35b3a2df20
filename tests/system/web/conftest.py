"""One cluster with the web page, and one browser, for all tests of this folder.

The browser is the system's Chromium; without one these tests are skipped, or fail where CROSSRAY_REQUIRE_SERVERS is
set. Screenshots go to the folder that PAGE_SCREENSHOTS names, else to a temporary one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, expect, sync_playwright

from cluster.demo.photos import bundled_photos
from tests.requirements import lacks
from tests.system.clusters import Cluster, started
from tests.system.web.visit import SHOWN_MS, Visit, leaves

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=SHOWN_MS)
PHOTOS = ("coffee.png", "chelsea.png", "rocket.jpg", "flower.jpg", "china.jpg", "motorcycle_left.png")


@pytest.fixture(scope="package")
def page_cluster(tmp_path_factory: pytest.TempPathFactory, starter_cache: Path) -> Iterator[Cluster]:
    settings = {
        "CROSSRAY_ENCODER__NAME": "starter",
        "CROSSRAY_CACHE_DIR": str(starter_cache),
        "CROSSRAY_PAGE__ENABLED": "true",
    }
    with started(Cluster(tmp_path_factory.mktemp("page"), settings)) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        lacks("no Chromium on this machine")
    with sync_playwright() as driver:
        # Without a sandbox because tests may run as root, which Chromium refuses otherwise; it sees only our own page.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def photos(page_cluster: Cluster) -> dict[str, Path]:
    """A few of the bundled photos, stored through the API."""
    found = {name: path for name, path in bundled_photos().items() if name in PHOTOS}
    assert len(found) == len(PHOTOS)
    with page_cluster.http() as http:
        for name, path in found.items():
            answer = http.post("/v1/items", data={"source": name}, files={"image": path.read_bytes()})
            assert answer.status_code in (200, 201), answer.text
    return found
