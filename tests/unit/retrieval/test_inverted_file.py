"""The embedded index above its flat limit: what the inverted file finds, and that it keeps up with the rows."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from embedded_records import DIM, built, open_at, recall, records, vectors

from retrieval.base import Payload, Query, Record
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.building import restore_proposer
from retrieval.embedded.ivf import Ivf, train_ivf
from retrieval.embedded.proposer import Mask
from retrieval.embedded.snapshot import Snapshot, save_snapshot
from retrieval.filters import parse_filter
from retrieval.open import EmbeddedOptions


@pytest.mark.parametrize("top_k", [10, 30, 100, 300, 1000])
async def test_recall_at_every_depth(tmp_path: Path, top_k: int) -> None:
    """At the default target; `recall` refuses answers of fewer than `top_k` hits."""
    index = open_at(tmp_path, flat_limit=1000)
    stored = records(8000, clusters=400)
    await index.upsert(stored)
    await built(index)
    truth = {r.id: r.vector for r in stored}
    assert await recall(index, truth, vectors(40, seed=9, clusters=400), top_k) >= 0.95
    await index.close()


async def test_as_many_hits_as_asked_for_though_few_lists_are_read(tmp_path: Path) -> None:
    index = open_at(tmp_path, flat_limit=1000, exact_limit=100, target_recall=0.01)
    await index.upsert(records(3000))
    await built(index)
    assert index._structure.proposer is not None
    assert index._structure.proposer.efforts.tolist() == [1, 1, 1]
    most = parse_filter({"field": "n", "op": "gte", "value": 100})
    (all_rows, filtered) = await index.search([Query(vectors(1)[0], 1000), Query(vectors(1)[0], 1000, "any", most)])
    assert (len(all_rows), len(filtered)) == (1000, 1000)
    await index.close()


async def test_below_the_flat_limit_again_every_row_is_compared(tmp_path: Path) -> None:
    """With a target that finds next to nothing, so that only exact comparison finds all."""
    options = {"flat_limit": 1000, "target_recall": 0.01}
    index = open_at(tmp_path, **options)
    truth = {r.id: r.vector for r in records(3000)}
    await index.upsert(records(3000))
    await built(index)
    assert await recall(index, truth, vectors(20, seed=9)) < 0.95
    for remaining in (999, 800):
        gone = list(truth)[remaining:]
        await index.delete(gone)
        for id in gone:
            del truth[id]
        assert await recall(index, truth, vectors(20, seed=9)) == 1.0
        assert (await index.health()).structure == "flat"
    await dropped(index)
    await index.close()
    index = open_at(tmp_path, **options)  # its snapshot was taken with the inverted file
    assert await recall(index, truth, vectors(20, seed=9)) == 1.0
    await dropped(index)
    await index.upsert(records(1500))
    await built(index)
    assert await index.count() == 1500
    await index.close()


async def dropped(index: EmbeddedIndex) -> None:
    async with asyncio.timeout(20):
        while "lists read" in (await index.health()).detail:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_recall_while_rows_change_behind_the_inverted_file(tmp_path: Path) -> None:
    index = open_at(tmp_path, flat_limit=1000, exact_limit=100)
    stored = records(3000)
    truth = {r.id: r.vector for r in stored}
    await index.upsert(stored)
    await built(index)
    queries = vectors(40, seed=9)
    assert await recall(index, truth, queries) >= 0.95
    changed = [Record(f"{i:06}", row, Payload(kind="image")) for i, row in enumerate(vectors(400, seed=5), start=500)]
    await index.upsert([*changed, *records(300, seed=6, first=9000)])
    truth |= {r.id: r.vector for r in changed} | {r.id: r.vector for r in records(300, seed=6, first=9000)}
    gone = [f"{i:06}" for i in range(0, 3000, 4)]
    assert await index.delete(gone) == len(gone)
    for id in gone:
        del truth[id]
    assert await recall(index, truth, queries) >= 0.95
    few = parse_filter({"field": "n", "op": "lt", "value": 400})
    many = parse_filter({"field": "n", "op": "gte", "value": 100})
    for filter, below in ((few, lambda n: n < 400), (many, lambda n: n >= 100)):
        (hits,) = await index.search([Query(queries[0], 20, "any", filter)])
        assert len(hits) == 20
        assert all(below(hit.payload.metadata["n"]) for hit in hits)
    await index.close()


@pytest.mark.parametrize("has_codes", [False, True])
def test_lists_around_the_query_full_of_rows_that_do_not_pass(has_codes: bool) -> None:
    """One near row in 20 passes and every far one does: many more lists must be read than the share of all says."""
    random = np.random.default_rng(0)
    near = np.eye(DIM)[0] + 0.15 * random.standard_normal((3000, DIM))
    rows = np.vstack([near, -near, -near, -near]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    allowed = (np.arange(12_000) >= 3000) | (np.arange(12_000) % 20 == 0)
    queries = np.eye(DIM)[0] + 0.15 * random.standard_normal((20, DIM))
    queries = (queries / np.linalg.norm(queries, axis=1, keepdims=True)).astype(np.float32)

    proposer = Ivf(train_ivf(rows, len(rows), has_codes))
    proposer.add(rows, proposer.prepare(rows))
    proposer.efforts = np.array([12, 40, 90])

    def recall_among(mask: Mask | None) -> float:
        labels = np.arange(12_000) if mask is None else np.flatnonzero(mask)
        found = 0
        for query in queries:
            best = labels[np.argsort(-(rows[labels] @ query))[:10]]
            found += len(np.intersect1d(best, proposer.propose(query, 10, mask)[0]))
        return found / 200

    assert recall_among(allowed) >= recall_among(None) - 0.02
    restored = restore_proposer(EmbeddedOptions("ivf-flat"), proposer.serialized(), proposer.efforts)
    for query in queries[:3]:
        np.testing.assert_array_equal(restored.propose(query, 10, allowed)[0], proposer.propose(query, 10, allowed)[0])


async def test_rows_that_come_while_a_snapshot_is_written_reach_the_inverted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving, go_on = threading.Event(), threading.Event()

    def save_slowly(path: Path, snapshot: Snapshot, options: EmbeddedOptions) -> None:
        saving.set()
        assert go_on.wait(20)
        save_snapshot(path, snapshot, options)

    monkeypatch.setattr("retrieval.embedded.upkeep.save_snapshot", save_slowly)
    index = open_at(tmp_path / "index", flat_limit=2_000)
    await index.upsert(records(2_000))
    await asyncio.to_thread(saving.wait, 20)
    await index.upsert(records(1_500, seed=1, first=2_000))
    assert "1500 rows not in it yet" in (await index.health()).detail
    go_on.set()
    async with asyncio.timeout(20):
        while " 0 rows not in it yet" not in (await index.health()).detail:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await index.close()
