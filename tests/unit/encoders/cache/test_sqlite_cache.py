"""The cache in a file: it keeps, it stays within its bound, and damage costs entries, never an answer."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import numpy as np
import pytest

from encoders import Vectors, normalise
from encoders.cache import SqliteCache

DIM = 256
ROOM = 1 << 20
"""Bytes: about a thousand vectors."""


@asynccontextmanager
async def opened(path: Path, *, dim: int = DIM, max_bytes: int = 64 << 20) -> AsyncIterator[SqliteCache]:
    cache = SqliteCache(path, dim, max_bytes=max_bytes)
    try:
        yield cache
    finally:
        await cache.close()


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def vector(number: int, dim: int = DIM) -> Vectors:
    return normalise(np.random.default_rng(number).standard_normal(dim))


def entries(numbers: range) -> dict[bytes, Vectors]:
    return {key(number): vector(number) for number in numbers}


def size_bytes(path: Path) -> int:
    return path.stat().st_size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "embeddings.sqlite3"


async def test_what_was_put_is_found_by_another_opening(path: Path) -> None:
    async with opened(path) as cache:
        await cache.put_many(entries(range(3)))
    async with opened(path) as cache:
        found = await cache.get_many([key(2), key(7), key(0)])
    assert found[1] is None
    assert found[0] is not None
    assert found[2] is not None
    assert np.array_equal(found[0], vector(2))
    assert np.array_equal(found[2], vector(0))


async def test_another_number_of_columns_is_a_miss(path: Path) -> None:
    async with opened(path) as cache:
        await cache.put_many(entries(range(1)))
    async with opened(path, dim=128) as cache:
        assert await cache.get_many([key(0)]) == [None]


async def test_the_file_stays_within_its_bound_and_the_newest_stay(path: Path) -> None:
    async with opened(path, max_bytes=ROOM) as cache:
        for start in range(0, 3000, 50):
            await cache.put_many(entries(range(start, start + 50)))
        newest = await cache.get_many([key(n) for n in range(2800, 3000)])
        oldest = await cache.get_many([key(n) for n in range(200)])
    assert all(found is not None for found in newest)
    assert all(found is None for found in oldest)
    assert size_bytes(path) <= ROOM + (64 << 10)


async def test_one_entry_larger_than_the_bound_does_not_hang(path: Path) -> None:
    async with opened(path, dim=1 << 19, max_bytes=ROOM) as cache:
        await cache.put_many({key(0): vector(0, 1 << 19)})
        assert await cache.get_many([key(0)]) == [None]


async def test_an_entry_in_use_outlives_newer_ones_that_are_not(path: Path) -> None:
    async with opened(path, max_bytes=ROOM) as cache:
        for start in range(0, 3000, 10):
            await cache.put_many(entries(range(start, start + 10)))
            found = await cache.get_many([key(0)])
            assert found[0] is not None, f"put out after {start} others, although it was asked for all the time"
        assert await cache.get_many([key(50)]) == [None]


def damage_with_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def damage_half(path: Path) -> None:
    """Leaves a readable header and first pages."""
    data = bytearray(path.read_bytes())
    data[8192:] = np.random.default_rng(0).bytes(len(data) - 8192)
    path.write_bytes(bytes(data))


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def damage_by_another_layout(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE something_else (x)")


DAMAGES = [damage_with_noise, damage_half, damage_by_cutting, damage_by_another_layout]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
async def test_a_damaged_file_gives_no_wrong_vector_and_is_replaced(path: Path, damage) -> None:
    async with opened(path) as cache:
        await cache.put_many(entries(range(200)))
    damage(path)
    async with opened(path) as cache:
        found = await cache.get_many([key(n) for n in range(200)])
        assert all(v is None or np.array_equal(v, vector(n)) for n, v in enumerate(found))
        await cache.put_many(entries(range(500, 600)))
        again = await cache.get_many([key(n) for n in range(500, 600)])
    assert all(v is not None and np.array_equal(v, vector(500 + n)) for n, v in enumerate(again))
    assert (path.parent / f"{path.name}.damaged").exists()


async def test_damage_while_two_have_it_open_is_mended_once_for_both(path: Path) -> None:
    async with opened(path) as first, opened(path) as second:
        await first.put_many(entries(range(50)))
        await second.put_many(entries(range(50, 100)))
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage_with_noise(path)
        for cache in (first, second):
            await cache.get_many([key(0)])
        await first.put_many(entries(range(200, 210)))
        await second.put_many(entries(range(210, 220)))
        found = await first.get_many([key(n) for n in range(200, 220)])
    assert all(v is not None for v in found), "both write to the new file"


def write_and_read(path: Path, start: int, failures: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    async def run() -> int:
        missed = 0
        async with opened(path) as cache:
            for number in range(start, start + 100):
                await cache.put_many({key(number): vector(number)})
                found = await cache.get_many([key(number)])
                missed += found[0] is None or not np.array_equal(found[0], vector(number))
        return missed

    failures.put(asyncio.run(run()))


async def test_processes_share_one_file(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    failures = spawn.Queue()
    writers = [spawn.Process(target=write_and_read, args=(path, 1000 * n, failures)) for n in range(3)]
    for writer in writers:
        writer.start()
    missed = [await asyncio.to_thread(failures.get, True, 60) for _ in writers]
    for writer in writers:
        await asyncio.to_thread(writer.join, 10)
    assert missed == [0, 0, 0]
    async with opened(path) as cache:
        found = await cache.get_many([key(1000 * n + i) for n in range(3) for i in range(100)])
    assert all(v is not None for v in found)


async def test_closing_twice_is_fine(path: Path) -> None:
    cache = SqliteCache(path, DIM, max_bytes=ROOM)
    await cache.put_many(entries(range(1)))
    await cache.close()
    await cache.close()
