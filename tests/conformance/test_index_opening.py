"""Closing and opening again: what is kept, whose vectors they are, and that an index has one owner."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_records import (
    CONTRACT,
    COUNT,
    DURABLE,
    OTHER_CONTRACT,
    RECORDS,
    Name,
    Opener,
    assert_same_hits,
    assert_same_record,
    record,
    settled,
    unit,
)

from retrieval.base import Query
from retrieval.errors import IndexLocked, SpaceMismatch
from retrieval.filters import parse_filter
from retrieval.memory import MemoryIndex


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


@pytest.mark.parametrize("name", [name for name in DURABLE if name != "milvus-server"])
async def test_a_second_owner_is_refused(name: Name, tmp_path: Path) -> None:
    durable = Opener(name, tmp_path)
    index = await durable()
    with pytest.raises(IndexLocked, match=r"in use by process \d+"):
        await durable()
    await index.upsert(RECORDS[:3])
    await index.close()
    await (await durable()).close()
