"""Filters of every index. The exact index in memory says what is right."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from index_records import (
    COUNT,
    FILTERS,
    RECORDS,
    assert_same_hits,
    filters,
    unit,
)

from retrieval.base import Query, VectorIndex
from retrieval.filters import Filter, matches, parse_filter
from retrieval.memory import MemoryIndex
from retrieval.milvus.expression import compile_filter, without_contains


@pytest.mark.parametrize("json", FILTERS, ids=str)
async def test_a_filter_means_what_the_oracle_says(full: VectorIndex, oracle: MemoryIndex, json: object) -> None:
    filter = parse_filter(json)
    assert await full.count(filter) == await oracle.count(filter)
    for top_k in (3, COUNT):
        query = Query(unit(5), top_k, "any", filter)
        assert_same_hits((await full.search([query]))[0], (await oracle.search([query]))[0])


async def test_the_table_of_filters_tells_records_apart(oracle: MemoryIndex) -> None:
    """Most of its filters let some records pass and hold others back: a filter that is ignored would be seen."""
    counts = [await oracle.count(parse_filter(json)) for json in FILTERS]
    assert sum(0 < count < COUNT for count in counts) >= len(FILTERS) * 3 // 4


@given(filter=filters)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_filter_means_what_the_oracle_says(full: VectorIndex, filter: Filter) -> None:
    passing = {r.id for r in RECORDS if matches(filter, r.id, r.payload)}
    assert await full.count(filter) == len(passing)
    (hits,) = await full.search([Query(unit(6), COUNT, "any", filter)])
    assert {hit.id for hit in hits} == passing


async def test_a_filter_meets_the_target(full: VectorIndex, oracle: MemoryIndex) -> None:
    filter = parse_filter({"field": "n", "op": "lt", "value": 4})
    query = Query(unit(8), COUNT, "image", filter)
    (found,), (expected,) = await full.search([query]), await oracle.search([query])
    assert_same_hits(found, expected)
    assert {hit.payload.kind for hit in found} == {"image", "image_text"}


@given(filter=filters)
@settings(max_examples=200)
def test_a_filter_that_looks_inside_no_text_passes_no_less(filter: Filter) -> None:
    """What a Milvus before 2.4 is sent; the index drops what passes too much."""
    wider = without_contains(filter)
    assert " like " not in compile_filter(wider)
    for record in RECORDS:
        if matches(filter, record.id, record.payload):
            assert matches(wider, record.id, record.payload)
