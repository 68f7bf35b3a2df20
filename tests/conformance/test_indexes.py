"""One suite for every index. The exact index in memory says what is right."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from index_records import (
    CONTRACT,
    DIM,
    DURABLE,
    FILTERS,
    NAMES,
    OTHER_CONTRACT,
    Opener,
    axis,
    filters,
    payload,
    record,
    settled,
    unit,
)

from retrieval.base import Hit, Payload, Query, Record, Target, VectorIndex
from retrieval.errors import IndexLocked, InvalidQuery, InvalidRecord, SpaceMismatch
from retrieval.filters import Filter, matches, parse_filter
from retrieval.memory import MemoryIndex
from retrieval.validation import MAX_TOP_K

COUNT = 60
RECORDS = [record(i) for i in range(COUNT)]


@pytest.fixture(params=NAMES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return Opener(request.param, tmp_path)


@pytest.fixture(params=DURABLE)
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return Opener(request.param, tmp_path)


@pytest.fixture
async def index(opener: Opener) -> AsyncIterator[VectorIndex]:
    index = await opener()
    yield index
    await index.close()


@pytest.fixture(scope="module", params=NAMES)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    """Holds `RECORDS`; for tests that only read. An index is not bound to the event loop that it was opened on."""

    async def fill() -> VectorIndex:
        index = await Opener(request.param, tmp_path_factory.mktemp("full"))()
        await index.upsert(RECORDS[: COUNT // 2])
        await settled(index, request.param)
        await index.upsert(RECORDS[COUNT // 2 :])
        return index

    index = asyncio.run(fill())
    yield index
    asyncio.run(index.close())


@pytest.fixture(scope="module")
def oracle() -> MemoryIndex:
    index = MemoryIndex(DIM)
    asyncio.run(index.upsert(RECORDS))
    return index


def assert_same_record(found: Record | None, expected: Record) -> None:
    assert found is not None
    assert found.id == expected.id
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert found.payload == expected.payload


def assert_same_hits(found: Sequence[Hit], expected: Sequence[Hit]) -> None:
    assert [hit.id for hit in found] == [hit.id for hit in expected]
    assert [hit.payload for hit in found] == [hit.payload for hit in expected]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=2e-6)


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
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def _with_value(value: float) -> np.ndarray:
    vector = unit(0).copy()
    vector[3] = value
    return vector


BAD_VECTORS = {
    "nan": _with_value(np.nan),
    "infinite": _with_value(np.inf),
    "not unit": unit(0) * 2,
    "zero": np.zeros(DIM, dtype=np.float32),
    "short": unit(0)[:-1],
    "long": unit(0, DIM + 1),
    "two rows": np.stack([unit(0), unit(1)]),
    "integers": np.eye(DIM, dtype=np.int64)[0],
}


@pytest.mark.parametrize("vector", BAD_VECTORS.values(), ids=BAD_VECTORS.keys())
async def test_a_bad_vector_is_refused_and_nothing_is_written(index: VectorIndex, vector: np.ndarray) -> None:
    with pytest.raises(InvalidRecord, match=r"records\[1\]\.vector") as caught:
        await index.upsert([record(0), Record("bad", vector, payload(1))])
    assert caught.value.param == "records[1].vector"
    assert await index.count() == 0
    with pytest.raises(InvalidQuery):
        await index.search([Query(vector, 3)])
    await index.upsert([record(0)])
    assert await index.count() == 1


BAD_RECORDS = {
    "id": Record("", unit(0), payload(0)),
    "id of 129": Record("x" * 129, unit(0), payload(0)),
    "id with NUL": Record("a\0b", unit(0), payload(0)),
    "id with a surrogate": Record("a\ud800", unit(0), payload(0)),
    "kind": Record("a", unit(0), dataclasses.replace(payload(0), kind="video")),  # type: ignore[arg-type]
    "text": Record("a", unit(0), dataclasses.replace(payload(0), text="x" * 16_001)),
    "ocr_text": Record("a", unit(0), dataclasses.replace(payload(0), ocr_text="x" * 16_001)),
    "source": Record("a", unit(0), dataclasses.replace(payload(0), source="x" * 2_049)),
    "tags": Record("a", unit(0), dataclasses.replace(payload(0), tags=("x" * 129,))),
    "width": Record("a", unit(0), dataclasses.replace(payload(0), width=-1)),
    "metadata nan": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": float("nan")})),
    "metadata huge": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": 10**400})),
    "metadata list": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": [1]})),  # type: ignore[dict-item]
    "metadata key": Record("a", unit(0), dataclasses.replace(payload(0), metadata={'n"] or': 1})),
}


@pytest.mark.parametrize("bad", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
async def test_a_bad_record_is_refused(bad: Record) -> None:
    """Every index checks with the same function, and the vectors above show that they call it."""
    index = MemoryIndex(DIM)
    with pytest.raises(InvalidRecord, match=r"records\[1\]\."):
        await index.upsert([record(0), bad])
    assert await index.count() == 0


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


@pytest.mark.parametrize("top_k", [0, -1, MAX_TOP_K + 1, True])
async def test_a_bad_top_k_is_refused(full: VectorIndex, top_k: int) -> None:
    with pytest.raises(InvalidQuery) as caught:
        await full.search([Query(unit(0), top_k)])
    assert caught.value.param == "top_k"


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


async def test_reopening_keeps_everything(durable: Opener, oracle: MemoryIndex) -> None:
    index = await durable()
    await index.upsert([*RECORDS, record(200)])
    await index.delete(["id-200"])
    await index.close()
    index = await settled(await durable(), durable.name)
    assert await index.count() == COUNT
    for found, expected in zip(await index.scan(), RECORDS, strict=True):
        assert_same_record(found, expected)
    query = Query(unit(7), 20, "image", parse_filter({"field": "color", "op": "exists"}))
    assert_same_hits((await index.search([query]))[0], (await oracle.search([query]))[0])
    await index.upsert([record(201)])
    assert await index.count() == COUNT + 1
    await index.close()


async def test_closing_twice_is_fine(opener: Opener) -> None:
    index = await opener()
    await index.upsert(RECORDS[:3])
    await index.close()
    await index.close()


async def test_another_contract_is_refused(durable: Opener) -> None:
    index = await durable()
    await index.upsert(RECORDS[:3])
    await index.close()
    with pytest.raises(SpaceMismatch) as caught:
        await durable(OTHER_CONTRACT)
    assert (caught.value.stored, caught.value.given) == (CONTRACT, OTHER_CONTRACT)
    index = await durable()
    assert await index.count() == 3
    await index.close()


async def test_a_second_owner_is_refused(durable: Opener) -> None:
    index = await durable()
    with pytest.raises(IndexLocked, match=r"in use by process \d+"):
        await durable()
    await index.upsert(RECORDS[:3])
    await index.close()
    await (await durable()).close()
