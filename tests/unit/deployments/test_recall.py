"""Recall measured against an exact search through the same port."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from deployments.local import LocalIndex
from deployments.reindex.exact import Probe, measure_recall
from retrieval import Hit, Payload, Query, Record, Vector
from retrieval.memory import MemoryIndex

DIM = 16


def vectors(count: int, seed: int) -> Vector:
    drawn = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


async def filled(rows: Vector) -> LocalIndex:
    index = MemoryIndex(DIM)
    await index.upsert([Record(f"{n:05}", row, Payload("text", text="a")) for n, row in enumerate(rows)])
    return LocalIndex(index)


class Forgetful(LocalIndex):
    """Answers without every other hit."""

    async def search(self, query: Query) -> list[Hit]:
        return (await super().search(query))[::2]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_an_exact_index_finds_all(is_stored: bool) -> None:
    rows = vectors(200, seed=1)
    probes = [Probe(row, is_stored) for row in (rows[:20] if is_stored else vectors(20, seed=2))]
    recall = await measure_recall(await filled(rows), probes)
    assert (recall.value, recall.rows) == (1.0, 200)


async def test_an_index_that_leaves_out_hits_is_told() -> None:
    rows = vectors(200, seed=1)
    whole = await filled(rows)
    probes: Sequence[Probe] = [Probe(row) for row in rows[:20]]
    recall = await measure_recall(Forgetful(whole._index), probes)
    assert recall.value == pytest.approx(0.5)  # itself and five of ten


async def test_more_equal_items_than_can_be_asked_for_are_found_like_others() -> None:
    rows = np.concatenate([np.repeat(vectors(1, seed=3), 1500, axis=0), vectors(50, seed=4)])
    recall = await measure_recall(await filled(rows), [Probe(row) for row in rows[::100]])
    assert recall.value == 1.0


async def test_of_nothing() -> None:
    assert (await measure_recall(await filled(vectors(3, seed=1)), [])).value is None
    (alone,) = vectors(1, seed=1)
    assert (await measure_recall(await filled(alone[None]), [Probe(alone)])).value is None
