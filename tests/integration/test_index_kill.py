"""SIGKILL of the index's owner during upserts: no acknowledged row is lost. `make chaos` does it 20 times."""

from __future__ import annotations

from pathlib import Path

from loadtests.chaos_index import run


def test_a_killed_owner_loses_no_acknowledged_row(tmp_path: Path) -> None:
    rounds = run(3, tmp_path)
    assert all(r.acknowledged > 0 for r in rounds), "each child had written before it was killed"
    assert [(r.missing, r.unfound) for r in rounds] == [(0, 0)] * 3
