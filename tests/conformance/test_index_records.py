"""What every index does with records: write, replace, read, walk, delete."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from index_records import (
    COUNT,
    DIM,
    RECORDS,
    Opener,
    assert_same_record,
    payload,
    record,
    unit,
)

from retrieval.base import Payload, Query, Record, VectorIndex
from retrieval.filters import parse_filter


async def test_an_empty_index(index: VectorIndex) -> None:
    assert index.dim == DIM
    assert await index.count() == 0
    assert await index.search([Query(unit(0), 5)]) == [[]]
    assert await index.search([]) == []
    assert await index.get(["a"]) == [None]
    assert await index.get([]) == []
    assert await index.delete(["a"]) == 0
    assert await index.delete([]) == 0
    assert await index.scan() == []
    assert await index.count(parse_filter({"field": "kind", "value": "image"})) == 0
    await index.upsert([])
    health = await index.health()
    assert health.ready
    assert health.count == 0


async def test_get_answers_in_the_order_asked(full: VectorIndex) -> None:
    found = await full.get(["id-007", "no such id", "id-002", "id-007"])
    assert found[1] is None
    for position, i in ((0, 7), (2, 2), (3, 7)):
        assert_same_record(found[position], RECORDS[i])


async def test_upsert_replaces_by_id(index: VectorIndex) -> None:
    await index.upsert(RECORDS[:5])
    new = Record("id-003", unit(99), dataclasses.replace(payload(3), metadata={"n": 77}, tags=("new",)))
    await index.upsert([new])
    assert await index.count() == 5
    assert_same_record((await index.get(["id-003"]))[0], new)
    ((hit,),) = await index.search([Query(unit(99), 1)])
    assert (hit.id, hit.payload) == ("id-003", new.payload)
    assert hit.score == pytest.approx(1.0, abs=2e-6)
    assert await index.count(parse_filter({"field": "n", "value": 77})) == 1
    assert await index.count(parse_filter({"field": "n", "value": 3})) == 0
    assert await index.count(parse_filter({"field": "tags", "op": "any_of", "value": ["new"]})) == 1


async def test_the_last_of_two_records_with_one_id_counts(index: VectorIndex) -> None:
    await index.upsert([Record("a", unit(1), payload(1)), Record("a", unit(2), payload(2))])
    assert await index.count() == 1
    assert_same_record((await index.get(["a"]))[0], Record("a", unit(2), payload(2)))


async def test_deleted_items_are_gone(index: VectorIndex) -> None:
    await index.upsert(RECORDS[:10])
    assert await index.delete(["id-000", "id-009", "no such id", "id-000"]) == 2
    assert await index.count() == 8
    assert await index.get(["id-000", "id-009"]) == [None, None]
    (hits,) = await index.search([Query(unit(0), 10)])
    assert sorted(hit.id for hit in hits) == [r.id for r in RECORDS[1:9]]
    await index.upsert(RECORDS[:1])
    assert await index.count() == 9
    assert (await index.search([Query(unit(0), 1)]))[0][0].id == "id-000"


async def test_scan_walks_every_record_by_id(full: VectorIndex) -> None:
    walked: list[Record] = []
    while page := await full.scan(after=walked[-1].id if walked else "", limit=7):
        assert len(page) <= 7
        walked.extend(page)
    assert len(walked) == COUNT
    for found, expected in zip(walked, RECORDS, strict=True):
        assert_same_record(found, expected)
    assert [r.id for r in await full.scan(after="id-0055", limit=3)] == ["id-006", "id-007", "id-008"]


async def test_the_longest_of_everything_comes_back(index: VectorIndex) -> None:
    long = Payload(
        kind="image_text",
        text="字" * 16_000,
        media="f" * 64,
        mime="image/avif",
        width=2**31 - 1,
        height=1,
        source="源" * 2_048,
        tags=tuple(f"{i:02}" + "签" * 126 for i in range(64)),
        metadata={f"k{i}": "值" * 40 for i in range(64)},
        created_at=-1.5,
        ocr_text="🦊" * 16_000,
    )
    records = [Record(id, unit(i), long) for i, id in enumerate(["x" * 128, "图" * 128, "🦊" * 128, " ' \" % _ \\ \n"])]
    await index.upsert(records)
    for found, expected in zip(await index.get([r.id for r in records]), records, strict=True):
        assert_same_record(found, expected)
    (hits,) = await index.search([Query(unit(2), 1)])
    assert hits[0].id == "🦊" * 128
    assert await index.delete([r.id for r in records]) == 4
    assert await index.count() == 0


async def test_concurrent_upserts_and_searches(opener: Opener) -> None:
    """Every call sees each upsert that returned before it began, and no call fails."""
    index = await opener()
    written: set[str] = set()

    async def write(worker: int) -> None:
        for i in range(worker * 20, worker * 20 + 20, 2):
            await index.upsert([record(i), record(i + 1)])
            written.update((f"id-{i:03}", f"id-{i + 1:03}"))

    async def read() -> None:
        for seed in range(12):
            before = set(written)
            (hits,) = await index.search([Query(unit(seed), 200)])
            assert before <= {hit.id for hit in hits}
            await asyncio.sleep(0.002)

    await asyncio.gather(*(write(worker) for worker in range(4)), read(), read())
    assert await index.count() == 80
    assert_same_record((await index.get(["id-041"]))[0], record(41))
    await index.close()


async def test_a_sample_is_drawn_at_random(index: VectorIndex, full: VectorIndex) -> None:
    assert (await index.sample(5)).vectors.shape == (0, DIM)
    whole = await full.sample(2 * COUNT)
    rows = {record.vector.tobytes(): record.payload.kind for record in RECORDS}
    assert dict(zip([row.tobytes() for row in whole.vectors], whole.kinds, strict=True)) == rows
    seen = [frozenset(row.tobytes() for row in (await full.sample(COUNT // 3)).vectors) for _ in range(4)]
    assert {len(rows) for rows in seen} == {COUNT // 3}
    assert len(set(seen)) > 1
