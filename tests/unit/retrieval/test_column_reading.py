"""A filter's first use of a field reads it of every row: nobody else waits for that, and nothing written is missed."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from embedded_records import open_at, records, vectors

from retrieval.base import Metadata, Payload, Query, Record
from retrieval.embedded import EmbeddedIndex, column_reading
from retrieval.filters import Exists, In, Range

QUERY = vectors(1)[0]
FRESH = Range("metadata.n", "gte", 0)


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    index = open_at(tmp_path / "index")
    await index.upsert(records(600))
    yield index
    await index.close()


class Gate:
    """Stands before every page of a column but those of fields that are let through."""

    def __init__(self, index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = asyncio.Event(), threading.Event()
        loop, read = asyncio.get_running_loop(), index._store.column

        def column(*arguments: Any) -> list[tuple[int, Any]]:
            loop.call_soon_threadsafe(self.reached.set)
            assert self.opened.wait(30)
            return read(*arguments)

        monkeypatch.setattr(index._store, "column", column)


async def test_nobody_waits_while_a_column_is_read(index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    known = In("metadata.n", (7,))
    assert await index.count(known) == 1
    await index.count(Exists("source"))
    gate = Gate(index, monkeypatch)
    fresh = [Query(QUERY, 1000, "any", Exists(f"metadata.{key}")) for key in ("a", "b", "c")]
    blocked = [asyncio.create_task(index.search([query])) for query in fresh]
    await gate.reached.wait()
    async with asyncio.timeout(20):
        assert not index.answers_at_once(fresh[0])
        for query in (Query(QUERY, 3), Query(QUERY, 3, "image"), Query(QUERY, 1, "image", known)):
            assert index.answers_at_once(query)
            assert len((await index.search([query]))[0]) == query.top_k
        new = Payload(kind="image", metadata={"a": 1, "n": 7})
        await index.upsert([Record("new", QUERY, new), Record("000003", QUERY, new)])
        await index.delete(["000004"])
        assert await index.count(known) == 3
        assert [r.id for r in await index.get(["new"]) if r] == ["new"]
        assert len(await index.scan("", 5)) == 5
        assert (await index.health()).count == 600
        assert not any(task.done() for task in blocked)
    gate.opened.set()
    found = [{hit.id for hit in hits} for (hits,) in await asyncio.gather(*blocked)]
    assert found == [{"new", "000003"}, set(), set()]


async def test_what_changes_while_columns_are_read_is_in_them(
    index: EmbeddedIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_reading, "PAGE_ROWS", 16)
    random = np.random.default_rng(0)
    rows = vectors(600)
    truth: dict[str, Metadata] = {f"{i:06}": {"k0": i, "k1": i} for i in range(600)}
    reading = True
    await index.upsert([Record(id, rows[0], Payload(kind="image", metadata=truth[id])) for id in truth])

    async def change() -> None:
        for version in itertools.count():
            if not reading:
                break
            ids = [f"{i:06}" for i in random.integers(0, 700, size=6)]
            keys = [f"k{i}" for i in random.integers(0, 40, size=5)]
            metadata: Metadata = {**dict.fromkeys(keys, version), keys[0]: f"version {version}"}
            await index.upsert([Record(id, rows[1], Payload(kind="text", metadata=metadata)) for id in {*ids}])
            gone = [f"{i:06}" for i in random.integers(0, 700, size=4)]
            await index.delete(gone)
            truth.update(dict.fromkeys(ids, metadata))
            for id in gone:
                truth.pop(id, None)

    changing = asyncio.create_task(change())
    for i in range(40):
        await index.count(Exists(f"metadata.k{i}"))
    reading = False
    await changing
    for i in range(40):
        values = [metadata.get(f"k{i}") for metadata in truth.values()]
        field = f"metadata.k{i}"
        assert await index.count(Exists(field)) == sum(value is not None for value in values)
        for version in range(0, 60, 3):
            wanted = (version, f"version {version}")
            assert await index.count(In(field, wanted)) == sum(value in wanted for value in values)


async def test_the_column_of_targets_is_always_there(index: EmbeddedIndex) -> None:
    for i in range(100):
        await index.count(Exists(f"metadata.k{i}"))
    assert not index._structure.columns.missing(In("kind", ("image",)))
