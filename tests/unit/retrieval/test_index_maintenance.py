"""Structures that are built and added to while rows come and go, and while memory runs out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from embedded_records import built, must_know_its_rows, open_at, records, vectors

from retrieval.base import Query, Vector
from retrieval.embedded.hnsw import Hnsw

HNSW = {"type": "hnsw", "flat_limit": 500, "exact_limit": 20, "hnsw_ef_construction": 40}


async def test_rows_that_go_and_come_while_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk is cut short where rows went; those that came since are in its place."""
    index, more = open_at(tmp_path, **HNSW), records(1500)[1200:]
    structure, prepared = index._structure, []

    def meddle(self: Hnsw, rows: Vector) -> None:
        prepared.append(len(rows))
        if len(prepared) == 1:
            structure.remove([f"{i:06}" for i in range(600, 900)])
        if len(prepared) == 2:
            structure.put(more, range(10_000, 10_300))

    monkeypatch.setattr(Hnsw, "prepare", meddle)
    await index.upsert(records(1200))
    await built(index, "hnsw")
    assert prepared[:3] == [512, 388, 300]
    must_know_its_rows(index, at_least=500)
    for query in vectors(20, seed=9):
        for id, score in index.search_ids(Query(query, 10)):
            row = structure.rows.matrix[structure.rows.slot_of[id]]
            assert score == pytest.approx(float(row @ query), abs=2e-6)
    await index.close()


async def test_one_that_could_not_be_added_to_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """FAISS may have moved the rows by then. Searches compare every row until it is built anew."""
    index = open_at(tmp_path, **HNSW)
    await index.upsert(records(1200))
    await built(index, "hnsw")
    add, failing = Hnsw.add, [True]

    def fail(self: Hnsw, rows: Vector, prepared: None) -> None:
        add(self, rows, prepared)
        if failing.pop() if failing else False:
            raise MemoryError("no room")

    monkeypatch.setattr(Hnsw, "add", fail)
    await index.upsert([*records(2400)[1200:]])
    while "building the search structure failed" not in caplog.text:  # noqa: ASYNC110 (another thread's)
        await asyncio.sleep(0.01)
    assert index._structure.proposer is None
    query = vectors(1, seed=9)[0]
    rows = index._structure.rows
    best = [rows.ids[slot] for slot in np.argsort(-(rows.matrix @ query))[:10]]
    assert [id for id, _ in index.search_ids(Query(query, 10))] == best
    await index.upsert(records(2401)[2400:])
    await built(index, "hnsw")
    must_know_its_rows(index, at_least=500)
    await index.close()
