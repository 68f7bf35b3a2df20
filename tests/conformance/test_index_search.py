"""Searches of every index. The exact index in memory says what is right."""

from __future__ import annotations

import pytest
from index_records import (
    assert_same_hits,
    axis,
    payload,
    unit,
)

from retrieval.base import Query, Record, Target, VectorIndex
from retrieval.filters import parse_filter
from retrieval.memory import MemoryIndex


@pytest.mark.parametrize("target", ["any", "image", "text"])
@pytest.mark.parametrize("top_k", [1, 10, 1000])
async def test_search_agrees_with_the_oracle(
    full: VectorIndex, oracle: MemoryIndex, target: Target, top_k: int
) -> None:
    queries = [Query(unit(1000 + seed), top_k, target) for seed in range(4)]
    for found, expected in zip(await full.search(queries), await oracle.search(queries), strict=True):
        assert_same_hits(found, expected)


async def test_queries_of_one_call_are_answered_each_by_its_own_terms(full: VectorIndex, oracle: MemoryIndex) -> None:
    only_red = parse_filter({"field": "color", "value": "red"})
    queries = [Query(unit(1), 3), Query(unit(2), 5, "image"), Query(unit(3), 2, "any", only_red), Query(unit(4), 3)]
    for found, expected in zip(await full.search(queries), await oracle.search(queries), strict=True):
        assert_same_hits(found, expected)


async def test_ties_are_ordered_by_id_even_at_the_edge(index: VectorIndex) -> None:
    same = [Record(id, axis(0), payload(0)) for id in ("d", "b", "é", "a", "c", "A")]
    await index.upsert([*same, Record("far", axis(1), payload(1))])
    (hits,) = await index.search([Query(axis(0), 4)])
    assert [hit.id for hit in hits] == ["A", "a", "b", "c"]
    assert [hit.score for hit in hits] == [1.0] * 4
    (hits,) = await index.search([Query(-axis(0), 7)])
    assert [hit.id for hit in hits] == ["far", "A", "a", "b", "c", "d", "é"]
    assert hits[1].score == -1.0
