"""Pages of the documentation that are made from the code itself, so that they cannot fall behind it: settings, errors,
metrics, commands, and the calls of the API.

`python -m cluster.reference FOLDER` writes them; `docs/conf.py` does so at each build.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cluster.reference import calls, commands, errors, metrics, settings

PAGES: dict[str, Callable[[], str]] = {
    "api": calls.page,
    "errors": errors.page,
    "settings": settings.page,
    "metrics": metrics.page,
    "commands": commands.page,
}
"""Markdown by the name of the file."""


def write_pages(folder: Path) -> None:
    """Writes the pages that differ from what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        path, text = folder / f"{name}.md", page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
