"""One visitor of the page: what a person does there, and what must not happen behind what is seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.system.web.accessibility import violations

SHOWN_MS = 60_000
"""How long what is expected may take at the most, on a machine that does much else."""

FRAMES_JS = """async () => {
  for (let frame = 0; frame < 3; frame++) await new Promise((next) => requestAnimationFrame(next));
}"""
"""What was not shown before gets its values once more a frame after it is shown (`render_previously_invisible_children`
of Gradio 6): what a script types into it in that frame is lost, measured with 0 and 1 frames, and kept with 2 and 3."""


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
        expect(self.page.locator("#search-results .cr-note")).to_be_visible()

    def tab(self, name: str) -> None:
        """Opens a tab; on a narrow screen those that do not fit are in a menu."""
        tab = self.page.get_by_role("tab", name=name, exact=True)
        if tab.is_visible():
            tab.click()
        else:
            self.page.locator(".overflow-menu > button").click()
            self.page.locator(".overflow-dropdown button", has_text=name).click()
        shown = self.page.locator("[role=tabpanel]:visible .block:visible")
        expect(shown.first).to_be_visible()
        self.page.evaluate(FRAMES_JS)

    def unfold_options(self) -> None:
        """Opens what a search may also be asked."""
        self.page.get_by_role("button", name="More options").click()
        expect(self.field("search-fold")).to_be_visible()
        self.page.evaluate(FRAMES_JS)

    def field(self, name: str) -> Locator:
        """The text box with this id."""
        return self.page.locator(f"#{name}").locator("textarea, input")

    def choose(self, name: str, label: str) -> None:
        """An option of the radio buttons with this id."""
        self.page.locator(f"#{name}").get_by_label(label, exact=True).check()

    def choose_collection(self, name: str) -> None:
        self.page.locator("#collection input").click()
        self.page.get_by_role("option", name=name, exact=True).click()

    def search(self, words: str | None = None) -> Locator:
        """The cards that a search brings, best first: by words, or by what is filled in."""
        if words is not None:
            self.field("search-text").fill(words)
        # Marked, so that results of before are not taken for those to come: they may read the same.
        summary = self.page.locator("#search-results .cr-note")
        summary.evaluate("note => note.classList.add('before')")
        self.page.locator("#search-button").click()
        expect(self.page.locator("#search-results .cr-note:not(.before)")).to_be_visible()
        return self.page.locator("#search-results .cr-card")

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"{name}.png", full_page=True)

    def must_be_accessible(self, tab: str) -> None:
        """As axe-core judges what is shown now: nothing in our markup, in Gradio's nothing that is not listed."""
        found = violations(self.page)
        assert not found.ours, f"the tab {tab}: {found.ours[:5]}"
        new = found.new_of_gradio(tab)
        assert not new, f"the tab {tab}: {new}"

    def must_be_clean(self) -> None:
        assert not self.errors, self.errors
        assert not self.left, f"requests left the machine: {self.left}"


def leaves(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"
