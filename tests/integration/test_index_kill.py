"""SIGKILL of the index's owner during upserts: no acknowledged row is lost. 20 rounds: loadtests/chaos_index.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parents[2] / "loadtests"


def test_a_killed_owner_loses_no_acknowledged_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(LOADTESTS)
    import chaos_index

    rounds = chaos_index.run(3, tmp_path)
    assert all(r.acknowledged > 0 for r in rounds), "each child had written before it was killed"
    assert [(r.missing, r.unfound) for r in rounds] == [(0, 0)] * 3
    sys.modules.pop("chaos_index")
