"""What only the embedded index promises: durability, group commit, one owner, a file that lasts, a fast start."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from embedded_records import CONTRACT, DIM, built, open_at, recall, records, vectors

from retrieval.base import Payload, Query, Record, TextQuery
from retrieval.durable import OwnerLock
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.schema import MIGRATIONS, SCHEMA_VERSION
from retrieval.errors import IncompatibleIndex, IndexLocked, IndexUnavailable, SpaceMismatch, StorageFull
from retrieval.filters import In, Or
from retrieval.open import EmbeddedOptions


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    index = open_at(tmp_path / "index")
    yield index
    await index.close()


async def test_every_commit_is_flushed_to_disk(index: EmbeddedIndex) -> None:
    """With these two settings, and no others, SQLite flushes its log on every COMMIT (its documentation of pragmas)."""
    writer = index._store._writer
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_reads_between_writes_do_not_keep_the_log_from_being_folded_in(tmp_path: Path) -> None:
    index = open_at(tmp_path / "index")
    query = Query(vectors(1)[0], 10)
    for n in range(150):
        await index.upsert(records(100, seed=n, first=100 * n))
        await index.search([query])
    written = index._store.path.stat().st_size
    log_bytes = index._store.path.with_name("index.sqlite-wal").stat().st_size
    assert log_bytes < 6 * 2**20 < written + log_bytes, "SQLite folds it in at 4 MB, and we wrote more than once that"
    await index.close()


async def test_calls_that_wait_share_one_commit(index: EmbeddedIndex) -> None:
    statements: list[str] = []
    index._store._writer.set_trace_callback(statements.append)
    with index._structure.committing:
        waiting = [asyncio.create_task(index.upsert([record])) for record in records(30)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
    await asyncio.gather(*waiting)
    assert statements.count("COMMIT") <= 2
    assert await index.count() == 30


async def test_a_failing_call_does_not_fail_those_that_share_its_commit(index: EmbeddedIndex) -> None:
    await index.upsert(records(1))
    (pages,) = index._store._writer.execute("PRAGMA page_count").fetchone()
    index._store._writer.execute(f"PRAGMA max_page_count = {pages + 12}")
    with index._structure.committing:
        small = asyncio.create_task(index.upsert(records(2, first=10)))
        large = asyncio.create_task(index.upsert(records(2000, first=1000)))
        await asyncio.sleep(0.05)
    results = await asyncio.gather(small, large, return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], StorageFull)
    assert await index.count() == 3


async def test_a_full_disk_writes_nothing_and_the_index_goes_on(tmp_path: Path) -> None:
    index = open_at(tmp_path)
    await index.upsert(records(50))
    (pages,) = index._store._writer.execute("PRAGMA page_count").fetchone()
    index._store._writer.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StorageFull, match="nothing was written"):
        await index.upsert(records(500, first=100))
    assert await index.count() == 50
    assert (await index.search([Query(records(50)[0].vector, 1)]))[0][0].id == "000000"
    assert await index.delete(["000000"]) == 1
    index._store._writer.execute("PRAGMA max_page_count = 1000000")
    await index.upsert(records(500, first=100))
    await index.close()
    index = open_at(tmp_path)
    assert await index.count() == 549
    await index.close()


async def test_a_file_of_version_1_is_migrated(tmp_path: Path) -> None:
    vector = vectors(1)[0]
    with sqlite3.connect(tmp_path / "index.sqlite") as old:
        for statement in MIGRATIONS[0]:
            old.execute(statement)
        old.execute("PRAGMA user_version = 1")
        old.execute("INSERT INTO space VALUES (?, ?)", (CONTRACT, DIM))
        row = (7, "old", "image_text", "海边的狗", None, "image/png", 3, 4, "a.png", '["t"]', '{"n": 1}')
        old.execute(f"INSERT INTO items VALUES ({','.join('?' * len(row))})", row)
        old.execute("INSERT INTO vectors VALUES (7, ?)", (vector.tobytes(),))
    old.close()
    index = open_at(tmp_path)
    ((hit,),) = await index.search([Query(vector, 3)])
    expected = Payload(
        kind="image_text",
        text="海边的狗",
        mime="image/png",
        width=3,
        height=4,
        source="a.png",
        tags=("t",),
        metadata={"n": 1},
        created_at=0.0,
    )
    assert (hit.id, hit.payload) == ("old", expected)
    ((by_words,),) = await index.search_text([TextQuery("海边", 3)])
    assert by_words.payload == expected, "texts that were there before are searched too"
    await index.upsert([Record("new", vectors(2)[1], Payload(kind="text", text="x", created_at=5.5))])
    await index.close()
    with sqlite3.connect(tmp_path / "index.sqlite") as new:
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert new.execute("SELECT seq, created_at FROM items WHERE id = 'new'").fetchone() == (8, 5.5)
    new.close()


@pytest.mark.parametrize("content", ["newer", "foreign", "garbage"])
async def test_a_file_that_is_not_ours_is_refused_and_let_go(tmp_path: Path, content: str) -> None:
    path = tmp_path / "index.sqlite"
    if content == "garbage":
        path.write_bytes(b"not a database, for longer than its header is" * 100)
    else:
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE other (x)")
            file.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1 if content == 'newer' else 0}")
        file.close()
    before = path.read_bytes() if content == "garbage" else None
    for _ in range(2):
        with pytest.raises(IncompatibleIndex):
            open_at(tmp_path)
    assert before is None or path.read_bytes() == before


async def test_another_dimension_is_refused(tmp_path: Path) -> None:
    await open_at(tmp_path).close()
    with pytest.raises(ValueError, match="32 dimensions, not 33"):
        EmbeddedIndex(tmp_path, DIM + 1, CONTRACT, EmbeddedOptions())
    with pytest.raises(SpaceMismatch):
        EmbeddedIndex(tmp_path, DIM, "{}", EmbeddedOptions())
    await open_at(tmp_path).close()


async def test_a_snapshot_starts_fast_and_what_came_later_is_replayed(tmp_path: Path) -> None:
    index = open_at(tmp_path, flat_limit=1000)
    await index.upsert(records(2500))
    await built(index)
    await index.close()
    truth = {r.id: r.vector for r in records(2500)}
    saved = (tmp_path / "snapshot.npz").read_bytes()

    index = open_at(tmp_path, flat_limit=1000)
    assert (await index.health()).structure == "ivf-sq8", "loaded, not built again"
    later = records(20, seed=3, first=2490)
    await index.upsert(later)
    assert await index.delete(["000003"]) == 1
    truth |= {r.id: r.vector for r in later}
    del truth["000003"]
    await index.close()
    (tmp_path / "snapshot.npz").write_bytes(saved)
    with sqlite3.connect(tmp_path / "index.sqlite") as file:
        # As if the process had died before it took its second snapshot.
        token = str(np.load(tmp_path / "snapshot.npz")["token"])
        file.execute("UPDATE space SET snapshot = ?", (token,))
    file.close()

    index = open_at(tmp_path, flat_limit=1000)
    assert (await index.health()).structure == "ivf-sq8"
    assert await index.count() == len(truth)
    assert await recall(index, truth, vectors(30, seed=8)) >= 0.95
    assert [h.id for h in (await index.search([Query(later[-1].vector, 1)]))[0]] == [later[-1].id]
    await index.close()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "another's", "gone"])
async def test_a_bad_snapshot_is_ignored(tmp_path: Path, damage: str) -> None:
    index = open_at(tmp_path / "a")
    await index.upsert(records(2100))
    await index.close()
    path = tmp_path / "a" / "snapshot.npz"
    data = bytearray(path.read_bytes())
    if damage == "another's":
        other = open_at(tmp_path / "b")
        await other.upsert(records(2100, seed=1))
        await other.close()
        data = bytearray((tmp_path / "b" / "snapshot.npz").read_bytes())
    elif damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    path.unlink()
    if damage != "gone":
        path.write_bytes({"truncated": data[: len(data) // 2], "empty": b""}.get(damage, data))
    index = open_at(tmp_path / "a")
    assert await index.count() == 2100
    for record in records(2100)[::700]:
        ((hit,),) = await index.search([Query(record.vector, 1)])
        assert hit.id == record.id
        assert hit.score == pytest.approx(1.0, abs=2e-6)
    await index.close()


async def test_a_hit_never_mixes_two_versions_of_an_item(index: EmbeddedIndex) -> None:
    """The payload of a hit belongs to the vector that was compared, whatever is written meanwhile."""
    axes = np.eye(DIM, dtype=np.float32)

    async def write() -> None:
        for i in range(60):
            await index.upsert([Record("x", axes[i % 2], Payload(kind="text", text="x", metadata={"version": i % 2}))])

    async def read() -> int:
        seen = 0
        while not writing.done():
            (hits,) = await index.search([Query(axes[0], 1)])
            for hit in hits:
                assert hit.score == 1.0 - hit.payload.metadata["version"]
                seen += 1
            await asyncio.sleep(0)
        return seen

    writing = asyncio.create_task(write())
    assert await read() > 0
    await writing


async def test_a_caller_that_goes_away_harms_nobody(index: EmbeddedIndex) -> None:
    with index._structure.committing:
        leaving = asyncio.create_task(index.upsert(records(5)))
        staying = asyncio.create_task(index.upsert(records(5, first=10)))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await asyncio.sleep(0)
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await index.count() == 10


async def test_closing_finishes_what_was_asked_and_refuses_the_rest(tmp_path: Path) -> None:
    index = open_at(tmp_path)
    waiting = [asyncio.create_task(index.upsert([record])) for record in records(20)]
    await asyncio.sleep(0)
    await index.close()
    await asyncio.gather(*waiting)
    for call in (index.upsert(records(1)), index.search([Query(vectors(1)[0], 1)]), index.get(["a"]), index.count()):
        with pytest.raises(IndexUnavailable, match="closed"):
            await call
    index = open_at(tmp_path)
    assert await index.count() == 20
    await index.close()


async def test_more_fields_are_filtered_on_than_columns_are_kept(index: EmbeddedIndex) -> None:
    keys = [f"k{i}" for i in range(150)]
    await index.upsert(
        [
            Record(key, row, Payload(kind="image", metadata={key: 1}))
            for key, row in zip(keys, vectors(150), strict=True)
        ]
    )
    for key in (*keys, *keys[:3]):
        assert await index.count(In(f"metadata.{key}", (1,))) == 1
    assert len(index._structure.columns._columns) <= 64
    assert await index.count(Or(tuple(In(f"metadata.{key}", (1,)) for key in keys[:63]))) == 63


async def test_health_says_what_it_costs(index: EmbeddedIndex) -> None:
    await index.upsert(records(10))
    health = await index.health()
    assert (health.backend, health.structure, health.count) == ("embedded", "flat", 10)
    assert "MiB in memory" in health.detail


async def test_a_snapshot_that_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".snapshot.npz.abc123.partial"
    left.write_bytes(b"half")
    owner = OwnerLock(tmp_path / "LOCK", owned=tmp_path)
    with pytest.raises(IndexLocked):
        open_at(tmp_path)
    owner.release()
    assert left.exists(), "only the owner knows that nobody is writing it"
    await open_at(tmp_path).close()
    assert not left.exists()
