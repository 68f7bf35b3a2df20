"""The threat model names tests, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_test_that_it_names_exists() -> None:
    named = NAMED.findall((ROOT / "docs/threat-model.md").read_text("utf-8"))
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or f"def {name}(" not in (ROOT / path).read_text("utf-8")
    ]
    assert missing == []


def test_every_threat_names_one() -> None:
    text = (ROOT / "docs/threat-model.md").read_text("utf-8")
    rows = text.partition("## Threats")[2].partition("\n## ")[0].splitlines()
    threats = [row for row in rows if row.startswith("| ") and not row.startswith(("| threat ", "| ---"))]
    assert len(threats) > 20
    assert [row for row in threats if not NAMED.search(row)] == []
