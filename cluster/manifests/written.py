"""Rendered files as they lie in the repository: written there, and looked at for being what their sources give now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes every text to the file of its name, and returns where."""
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def drifted(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """The files that are not there or have another content."""
    paths = {folder / name: text for name, text in texts.items()}
    return [path for path, text in paths.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
