"""The little of Markdown that the pages are made of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars and line breaks in cells are kept from ending them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def code(value: Any) -> str:
    """A value as it is written in YAML or JSON, in one line."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def block(value: Any) -> str:
    """JSON, indented."""
    return f"```json\n{json.dumps(value, ensure_ascii=False, indent=2)}\n```"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
