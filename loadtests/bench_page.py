"""What the web page adds to a search: from the click to the results on the screen, beside the same call by HTTP.

    python -m loadtests.bench_page [--rounds N] [--output FILE]

A cluster with the starter encoder and the bundled photos; one browser (the system's Chromium, headless). Each query is
asked once beforehand, so that both ways find it in the embedding cache, and then by HTTP and in the page in turn. The
page is timed inside the browser: to the moment at which the new cards are in the document, not their pictures.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from cluster.demo.photos import bundled_photos
from loadtests.report import circumstances, table, write_report
from loadtests.server_process import running_cluster

SUBJECTS = ("a cup of coffee", "a cat", "一只猫", "a rocket at night", "一朵花", "a motorcycle", "海边的塔", "coins")
TOP_K = 12
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_MORE_MS = 300
SEARCH_JS = """() => new Promise((resolve) => {
  const results = document.querySelector('#search-results');
  results.querySelectorAll('.cr-cards').forEach((cards) => cards.classList.add('before'));
  const started = performance.now();
  const look = () => {
    if (!results.querySelector('.cr-cards:not(.before)')) return;
    watcher.disconnect();
    resolve(performance.now() - started);
  };
  const watcher = new MutationObserver(look);
  watcher.observe(results, {childList: true, subtree: true});
  document.querySelector('#search-button').click();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="times that each of the queries is asked")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    begun = circumstances()
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit("no Chromium on this machine")
    settings = {"CROSSRAY_PAGE__ENABLED": "true", "CROSSRAY_ENCODER__NAME": "starter"}
    with running_cluster("local", settings) as server:
        by_http, in_page = measure(server.url, browser, arguments.rounds)
    more = [page - http for page, http in zip(in_page, by_http, strict=True)]
    rows = [
        {"what": name} | _figures(values)
        for name, values in (("by HTTP", by_http), ("in the page", in_page), ("more", more))
    ]
    print(table(rows))
    answer = {"searches": len(more), "top_k": TOP_K, "ms": rows, "at_most_300_ms_more": max(more) <= MOST_MORE_MS}
    write_report(arguments.output, answer, begun)


def measure(url: str, browser: str, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each search, by HTTP and in the page."""
    by_http: list[float] = []
    in_page: list[float] = []
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http, sync_playwright() as driver:
        for name, path in bundled_photos().items():
            files = {"image": path.read_bytes()}
            http.post("/v1/items", data={"source": name}, files=files).raise_for_status()
        # Without a sandbox because this may run as root, which Chromium refuses otherwise; it sees only our own page.
        running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = running.new_page()
        page.goto(f"{url}/ui/")
        page.locator("#search-results .cr-note").wait_for()
        for words in SUBJECTS:
            _by_http(http, words)
            _in_page(page, words)
        for _ in range(rounds):
            for words in SUBJECTS:
                by_http.append(_by_http(http, words))
                in_page.append(_in_page(page, words))
        running.close()
    return by_http, in_page


def _by_http(http: httpx.Client, words: str) -> float:
    body = {"text": words, "mode": "dense", "collection": "default", "target": "any", "top_k": TOP_K}
    started = time.perf_counter()
    http.post("/v1/search", json=body).raise_for_status()
    return (time.perf_counter() - started) * 1000


def _in_page(page: Page, words: str) -> float:
    page.locator("#search-text").locator("textarea, input").fill(words)
    taken: float = page.evaluate(SEARCH_JS)
    return taken


def _figures(ms: list[float]) -> dict[str, Any]:
    return {f"p{q}": round(float(np.percentile(ms, q)), 1) for q in (50, 95)} | {"max": round(max(ms), 1)}


if __name__ == "__main__":
    main()
