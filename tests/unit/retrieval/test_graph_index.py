"""The embedded index by a graph (HNSW): what it finds, and that rows that it cannot forget are never answered."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest
from embedded_records import DIM, built, must_know_its_rows, open_at, recall, records, vectors
from numpy.typing import NDArray

from retrieval.base import Payload, Query, Record, Vector
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.building import restore_proposer
from retrieval.embedded.hnsw import Hnsw
from retrieval.embedded.proposer import TIES
from retrieval.filters import parse_filter
from retrieval.open import EmbeddedOptions, IndexType

HNSW = {"type": "hnsw", "flat_limit": 500, "exact_limit": 20, "hnsw_ef_construction": 40}


async def opened(folder: Path, count: int = 1200, **options: object) -> EmbeddedIndex:
    """An index of `records(count)`, its graph built."""
    index = open_at(folder, **(HNSW | options))
    await index.upsert(records(count))
    await built(index, "hnsw")
    return index


@pytest.mark.parametrize("type", ["hnsw", "ivf-flat"])
async def test_recall_at_every_depth(tmp_path: Path, type: IndexType) -> None:
    """At the default target; `recall` refuses answers of fewer than `top_k` hits."""
    index = open_at(tmp_path, **(HNSW | {"type": type}))
    stored = records(3000, clusters=150)
    await index.upsert(stored)
    await built(index, type)
    truth = {r.id: r.vector for r in stored}
    for top_k in (1, 10, 30, 300, 1000):
        assert await recall(index, truth, vectors(20, seed=9, clusters=150), top_k) >= 0.95
    await index.close()


async def test_its_rows_by_label_are_those_that_were_stored(tmp_path: Path) -> None:
    """When it was built, when it grew, and when it was read back."""
    index = await opened(tmp_path)
    await index.upsert(records(2400)[1200:])
    await built(index, "hnsw")
    for _ in range(2):
        must_know_its_rows(index, at_least=2000)
        await index.close()
        index = open_at(tmp_path, **HNSW)
    await index.close()


async def test_its_scores_are_as_near_to_the_exact_ones_as_is_said(tmp_path: Path) -> None:
    """Candidates are left out by them."""
    index = await opened(tmp_path)
    proposer, rows = index._structure.proposer, index._structure.rows
    assert isinstance(proposer, Hnsw)
    errors = []
    for query in vectors(50, seed=8):
        labels, scores = proposer.propose(query, 100, None)
        exact = rows.matrix[rows.labels.slot_of[labels]].astype(np.float64) @ query
        assert scores is not None
        errors.append(np.abs(scores - exact).max())
    assert 1e-6 < max(errors) <= proposer.score_error
    await index.close()


def misordered_by_16_bits() -> tuple[Vector, Vector, Vector]:
    """A query, the row that is nearest to it, and one that 16 bits make nearer."""
    bit, g = 2.0**-11, 0.625
    rows = np.zeros((3, DIM), dtype=np.float32)
    rows[0, :2] = 0.5**0.5
    rows[1, :2] = g + 0.49 * bit
    rows[2, :2] = g + 0.51 * bit, g - 0.2 * bit
    rows[1:, 2] = np.sqrt(1 - (rows[1:, :2].astype(np.float64) ** 2).sum(axis=1))
    query, near, rounded_up = rows
    assert (near - rounded_up) @ query > 1e-4
    assert (near.astype(np.float16) - rounded_up.astype(np.float16)).astype(np.float32) @ query < -1e-4
    return query, near, rounded_up


async def test_a_row_that_16_bits_put_behind_another_comes_first(tmp_path: Path) -> None:
    query, near, rounded_up = misordered_by_16_bits()
    index = open_at(tmp_path, **HNSW)
    both = [
        Record("near", near, Payload(kind="text", text="-")),
        Record("up", rounded_up, Payload(kind="text", text="-")),
    ]
    await index.upsert([*records(1200), *both])
    await built(index, "hnsw")
    [hits] = await index.search([Query(query, 1)])
    assert [hit.id for hit in hits] == ["near"]
    await index.close()


async def test_rows_that_are_equal_come_in_the_order_of_their_ids_where_16_bits_put_another_before_them(
    tmp_path: Path,
) -> None:
    query, near, rounded_up = misordered_by_16_bits()
    index = open_at(tmp_path, **HNSW)
    payload = Payload(kind="text", text="-")
    alike = [Record(f"near-{number:03}", near, payload) for number in range(80)]
    await index.upsert([*records(1200), Record("up", rounded_up, payload), *reversed(alike)])
    await built(index, "hnsw")
    [hits] = await index.search([Query(query, 10)])
    assert [hit.id for hit in hits] == [record.id for record in alike[:10]]
    await index.close()


@pytest.mark.parametrize("share", [0.9, 0.5, 0.21, 0.19, 0.05, 0.01])
async def test_a_filter_costs_no_recall(tmp_path: Path, share: float) -> None:
    index = await opened(tmp_path)
    await index.delete([f"{i:06}" for i in range(0, 1200, 7)])
    passing = parse_filter({"field": "n", "op": "lt", "value": 1200 * share})
    truth = {r.id: r.vector for i, r in enumerate(records(1200)) if i % 7 and i < 1200 * share}
    ids, matrix = list(truth), np.stack(list(truth.values()))
    queries = vectors(30, seed=9)
    found = 0
    for query, hits in zip(queries, await index.search([Query(q, 10, "any", passing) for q in queries]), strict=True):
        assert len(hits) == 10
        found += len({ids[i] for i in np.argsort(-(matrix @ query))[:10]} & {hit.id for hit in hits})
    assert found / 300 >= 0.95
    await index.close()


async def test_a_filter_whose_rows_lie_far_from_the_query(tmp_path: Path) -> None:
    """The walk towards the query meets none of them: the rows are compared instead."""
    near, far = np.eye(DIM, dtype=np.float32)[:2]
    noise = 0.1 * np.random.default_rng(0).standard_normal((1200, DIM)).astype(np.float32)
    rows = np.where(np.arange(1200)[:, None] < 600, near, far) + noise
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kinds = ("image", "text")
    index = open_at(tmp_path, **HNSW)
    await index.upsert(
        [Record(f"{i:06}", row, Payload(kind=kinds[i >= 600], text="x" * (i >= 600) or None))  # type: ignore[arg-type]
         for i, row in enumerate(rows)]
    )  # fmt: skip
    await built(index, "hnsw")
    (hits,) = await index.search([Query(near, 10, "text")])
    best = 600 + np.argsort(-(rows[600:] @ near))[:10]
    assert {hit.id for hit in hits} == {f"{i:06}" for i in best}
    await index.close()


ALBUM = 300


def album(seed: int, count: int = ALBUM) -> Vector:
    """Unit rows that are alike."""
    rows = np.eye(DIM)[0] + 0.05 * np.random.default_rng(seed).standard_normal((count, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("how", ["deleted", "replaced", "filtered"])
async def test_near_rows_that_may_not_be_answered_do_not_hide_the_next(tmp_path: Path, how: str) -> None:
    """The walk's candidates are all of an album that is gone or shut out, though most rows are neither."""
    others = np.random.default_rng(0).standard_normal((1700, DIM)).astype(np.float32)
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    stored = [
        Record(f"{i:06}", row, Payload(kind="image", metadata={"n": i}))
        for i, row in enumerate(np.vstack([album(1), others]))
    ]
    index = open_at(tmp_path, **HNSW)
    await index.upsert(stored)
    await built(index, "hnsw")
    truth, filter = {r.id: r.vector for r in stored[ALBUM:]}, None
    if how == "deleted":
        await index.delete([r.id for r in stored[:ALBUM]])
    elif how == "replaced":
        away = -album(2)
        await index.upsert(
            [Record(r.id, row, Payload(kind="image")) for r, row in zip(stored[:ALBUM], away, strict=True)]
        )
        truth |= {r.id: row for r, row in zip(stored[:ALBUM], away, strict=True)}
    else:
        filter = parse_filter({"field": "n", "op": "gte", "value": ALBUM})
    assert (await index.health()).structure == "hnsw"
    queries = [Query(row, 10, "any", filter) for row in album(3, 20)]
    ids, matrix = list(truth), np.stack(list(truth.values()))
    found = 0
    for query, hits in zip(queries, await index.search(queries), strict=True):
        best = {ids[i] for i in np.argsort(-(matrix @ query.vector))[:10]}
        found += len(best & {hit.id for hit in hits})
        assert [id for id, _ in index.search_ids(query)] == [hit.id for hit in hits]
    assert found / 200 >= 0.95
    await index.close()


async def test_rows_gone_here_and_there_are_walked_around(tmp_path: Path) -> None:
    """Then the graph alone finds enough: nothing needs comparing with every row."""
    index = await opened(tmp_path, 3000, target_recall=0.9)
    await index.delete([f"{i:06}" for i in range(0, 3000, 10)])
    proposer, labels = index._structure.proposer, index._structure.rows.labels
    assert proposer is not None
    for query in vectors(20, seed=9):
        found, _ = proposer.propose(query, 10, labels.in_place())
        assert len(found) >= max(10 + TIES, proposer.efforts[0])
        assert (labels.slot_of[found] >= 0).all()
    nowhere = np.zeros(proposer.count, dtype=bool)
    assert len(proposer.propose(vectors(1)[0], 10, nowhere)[0]) == 0
    await index.close()


async def test_equal_rows_are_all_found(tmp_path: Path) -> None:
    """A graph falls apart where a thousand rows are alike (see `Hnsw.unreachable`)."""
    same, rows = vectors(1, seed=77)[0], vectors(3000)
    rows[::3] = same
    index = open_at(tmp_path, **HNSW)
    await index.upsert([Record(f"{i:06}", row, Payload(kind="image")) for i, row in enumerate(rows)])
    await built(index, "hnsw")
    assert index._structure.rows.labels.stranded > 0, "or this tests nothing"
    for top_k in (5, 1000):
        (hits,) = await index.search([Query(same, top_k)])
        assert [hit.id for hit in hits] == [f"{3 * i:06}" for i in range(top_k)]
    truth = {f"{i:06}": row for i, row in enumerate(rows) if i % 3}
    queries = np.stack(list(truth.values()))[:30]
    assert {h[0].id for h in await index.search([Query(q, 1) for q in queries])} == set(list(truth)[:30])
    await index.close()


async def test_what_was_replaced_is_never_answered(tmp_path: Path) -> None:
    index = await opened(tmp_path)
    old = {r.id: r.vector for r in records(1200)}
    new = [Record(f"{i:06}", row, Payload(kind="text", text="new")) for i, row in enumerate(vectors(200, seed=5))]
    await index.upsert(new)
    truth = old | {r.id: r.vector for r in new}
    for query in list(old.values())[:200:20]:
        assert await recall(index, truth, query[None]) >= 0.9  # checks every score against the present vector, too
    truth_in_place = [r.id for r in new]
    (hits,) = await index.search([Query(new[7].vector, 1)])
    assert (hits[0].id, hits[0].payload.text) == (truth_in_place[7], "new")
    await index.upsert([Record(r.id, old[r.id], Payload(kind="text", text="back")) for r in new[:50]])
    (hits,) = await index.search([Query(old["000007"], 1)])
    assert (hits[0].id, hits[0].payload.text) == ("000007", "back")
    await index.close()


async def test_every_row_deleted(tmp_path: Path) -> None:
    index = await opened(tmp_path)
    assert await index.delete([r.id for r in records(1200)]) == 1200
    assert await index.search([Query(vectors(1)[0], 10)]) == [[]]
    await index.upsert(records(5))
    (hits,) = await index.search([Query(vectors(1)[0], 10)])
    assert len(hits) == 5
    await index.close()


async def test_it_is_built_anew_while_others_search_and_write(tmp_path: Path) -> None:
    index = await opened(tmp_path, 1200)
    first = index._structure.proposer
    truth = {r.id: r.vector for r in records(1200)}
    for round in range(4):
        changed = [
            Record(f"{i:06}", row, Payload(kind="image"))
            for i, row in enumerate(vectors(300, seed=20 + round), start=200 * round)
        ]
        truth |= {r.id: r.vector for r in changed}
        gone = [f"{i:06}" for i in range(1190 - 10 * round, 1200 - 10 * round)]
        await asyncio.gather(index.upsert(changed), index.delete(gone))
        for id in gone:
            del truth[id]
        assert await recall(index, truth, vectors(10, seed=round)) >= 0.95
    await built(index, "hnsw")
    assert index._structure.proposer is not first
    assert await recall(index, truth, vectors(30, seed=9)) >= 0.95
    assert await index.count() == len(truth)
    await index.close()


async def test_closing_does_not_wait_until_all_rows_are_in_the_graph(tmp_path: Path) -> None:
    index = await opened(tmp_path, 2000)
    maintenance, stopping = index._upkeep._maintenance, threading.Event()
    stopping.set()
    await index.upsert(records(600, seed=3, first=2000))
    assert index._structure.late == 600
    assert not maintenance.maintain(stopping)
    assert index._structure.late == 600
    await index.close()
    index = open_at(tmp_path, **HNSW)
    assert await index.count() == 2600
    truth = {r.id: r.vector for r in [*records(2000), *records(600, seed=3, first=2000)]}
    assert await recall(index, truth, vectors(20, seed=9)) >= 0.95
    await index.close()


async def test_a_restart_loads_the_graph_and_tunes_it_anew_for_another_target(tmp_path: Path) -> None:
    index = await opened(tmp_path, target_recall=0.5)
    efforts = index._structure.proposer.efforts.tolist()  # type: ignore[union-attr]
    await index.upsert(records(20, seed=3, first=1190))
    await index.close()
    index = open_at(tmp_path, **HNSW, target_recall=0.99)
    assert (await index.health()).structure == "hnsw", "loaded, not built again"
    proposer = index._structure.proposer
    await built(index, "hnsw")
    assert index._structure.proposer is proposer
    assert proposer is not None
    assert proposer.efforts[0] > efforts[0]
    truth = {r.id: r.vector for r in [*records(1200), *records(20, seed=3, first=1190)]}
    assert await recall(index, truth, vectors(30, seed=9)) >= 0.95
    await index.close()


async def test_another_type_is_built_and_the_old_snapshot_not_used(tmp_path: Path) -> None:
    await (await opened(tmp_path)).close()
    truth = {r.id: r.vector for r in records(1200)}
    for type in ("ivf-sq8", "ivf-flat", "hnsw", "flat"):
        index = open_at(tmp_path, **(HNSW | {"type": type}))
        assert await recall(index, truth, vectors(10, seed=9)) >= 0.95
        await built(index, type)
        assert await recall(index, truth, vectors(10, seed=9)) >= 0.95
        await index.close()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign graph", "wrong labels"])
async def test_a_bad_snapshot_is_built_anew(tmp_path: Path, damage: str) -> None:
    await (await opened(tmp_path)).close()
    path = tmp_path / "snapshot.npz"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    else:
        members = dict(np.load(path))
        if damage == "foreign graph":
            members["structure"] = members["structure"][: len(members["structure"]) // 2]
        else:
            members["labels"] = members["labels"] + 1
        np.savez(path, **members)
    index = open_at(tmp_path, **HNSW)
    assert await index.count() == 1200
    truth = {r.id: r.vector for r in records(1200)}
    assert await recall(index, truth, vectors(10, seed=9)) >= 0.95
    await built(index, "hnsw")
    assert await recall(index, truth, vectors(10, seed=9)) >= 0.95
    await index.close()


def test_a_truncated_graph_is_an_error_and_no_crash() -> None:
    with pytest.raises(RuntimeError):
        restore_proposer(EmbeddedOptions("hnsw"), np.zeros(40, dtype=np.uint8), np.array([10, 100, 1000]))


async def test_rows_that_no_path_leads_to_are_found_while_more_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under steady writes rows are always waiting: what the graph loses must not wait for the last of them."""
    same = vectors(1, seed=77)[0]
    index = await opened(tmp_path)
    structure, first = index._structure, index._structure.proposer
    add, unreachable = Hnsw.add, Hnsw.unreachable
    looked_at, unlooked, lost, looks = 1200, [], [], 0

    def watched_add(graph: Hnsw, rows: Vector, prepared: None) -> None:
        slot_of = structure.rows.labels.slot_of
        if graph is first and looked_at == graph.count:
            lost.append(int((slot_of[unreachable(graph)] >= 0).sum()))
        unlooked.append(int((slot_of[looked_at:] >= 0).sum()))
        add(graph, rows, prepared)

    def watched_look(graph: Hnsw) -> NDArray[np.int64]:
        nonlocal looked_at, looks
        looked_at, looks = graph.count, looks + 1
        return unreachable(graph)

    monkeypatch.setattr(Hnsw, "add", watched_add)
    monkeypatch.setattr(Hnsw, "unreachable", watched_look)
    await index.upsert([Record(f"{i:06}", same, Payload(kind="image")) for i in range(2000, 3100)])
    await built(index, "hnsw")
    assert structure.proposer is first
    assert structure.rows.labels.stranded > 0, "or this tests nothing"
    assert structure.late == 0
    assert max(unlooked) == 0, "rows are compared exactly until it is known that the graph leads to them"
    assert looks >= 2
    assert max(lost) == 0, "rows that no path leads to after a look are compared exactly"
    (hits,) = await index.search([Query(same, 1000)])
    assert [hit.id for hit in hits] == [f"{i:06}" for i in range(2000, 3000)]
    await index.close()
