"""How Sphinx builds the documentation: `make docs`. No page asks for anything from elsewhere when it is read."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from cluster.reference import write_pages  # noqa: E402 - found by the line above

project = "Crossray"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
nitpicky = True
highlight_language = "text"
html_theme = "furo"
html_title = "Crossray"
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False
html_show_sphinx = False

READMES = {"client": ROOT / "clients/python/README.md", "kubernetes": ROOT / "k8s/README.md"}
"""Pages that are the README of a folder; what is written in their place is for who reads the sources."""
OUTSIDE = {
    "](../../README.md)": "](index.md)",
    "](../k8s/README.md)": "](kubernetes.md)",
    "](k8s/README.md)": "](kubernetes.md)",
    "](../docs/load-tests.md)": "](load-tests.md)",
    "](../clients/python/README.md)": "](client.md)",
}
"""Links of the sources to files that are other pages here."""


def read(app: Sphinx, name: str, source: list[str]) -> None:
    text = READMES[name].read_text(encoding="utf-8") if name in READMES else source[0]
    for link, page in OUTSIDE.items():
        text = text.replace(link, page)
    source[0] = text


def setup(app: Sphinx) -> None:
    write_pages(HERE / "reference")
    app.connect("source-read", read)
