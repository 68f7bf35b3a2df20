"""What axe-core finds wrong with a page, told apart: in our markup, and in what Gradio brings.

axe-core is the file of its npm package, which the PyPI package axe-playwright-python carries. What it finds in Gradio's
components is listed beside this file, a rule and an element each by tab: we cannot mend it, and want to see it change.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

LISTED = Path(__file__).with_name("gradio_violations.json")
RUN_JS = """async () => {
  const found = (await axe.run(document, {resultTypes: ['violations']})).violations;
  const ours = (target) => Boolean(document.querySelector(target.flat().at(-1))?.closest('[class*="cr-"]'));
  return found.flatMap((one) => one.nodes.map((node) => (
    {rule: one.id, impact: one.impact, html: node.html, ours: ours(node.target), why: node.failureSummary})));
}"""
SETTLED_JS = """() => [...document.querySelectorAll('[class^="cr-"]')].every((one) => {
  if (!one.checkVisibility()) return true;
  for (let at = one; at; at = at.parentElement) if (getComputedStyle(at).opacity !== '1') return false;
  return true;
})"""
"""What is fading in is not judged half-way: its contrast is not there yet."""
OPENING = re.compile(r"<(\w+)[^>]*>")
CLASSES = re.compile(r'\sclass="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Violations:
    """`ours`: what is wrong and why; `gradio`: the rule and the element, without what changes with each release."""

    ours: list[str]
    gradio: list[str]

    def new_of_gradio(self, tab: str) -> list[str]:
        listed = json.loads(LISTED.read_text(encoding="utf-8"))
        return [one for one in self.gradio if one not in listed.get(tab, [])]


def violations(page: Page) -> Violations:
    """Runs axe on the page as it is shown now, every rule that it has."""
    page.wait_for_function(SETTLED_JS)
    page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(RUN_JS)
    ours = [f"{one['impact']} {one['rule']}: {one['html']}: {one['why']}" for one in found if one["ours"]]
    return Violations(ours, sorted({f"{one['rule']}: {element(one['html'])}" for one in found if not one["ours"]}))


def element(html: str) -> str:
    """An element's name and classes, without Svelte's, which are hashes."""
    opening = OPENING.match(html)
    if opening is None:
        return html[:40]
    classes = CLASSES.search(opening[0])
    names = [] if classes is None else classes[1].split()
    return ".".join([opening[1], *(name for name in names if not name.startswith("svelte-"))])
