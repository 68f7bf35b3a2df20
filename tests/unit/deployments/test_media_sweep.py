"""Files that no row names go, and none that a row names, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.local import LocalIndex
from deployments.media_sweep import MediaSweep, MediaSwept
from retrieval import Filter, FolderMedia, MediaStore, Payload, Record, media_address
from retrieval.errors import IndexUnavailable
from retrieval.media import UrlMedia
from retrieval.memory import MemoryIndex
from tests.conformance.index_records import DIM, axis


def row(id: str, media: str) -> Record:
    return Record(id, axis(0), Payload(kind="image", media=media))


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def grown_old(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (0, 0))


async def test_a_file_without_a_row_goes_in_two_steps(tmp_path: Path) -> None:
    media, index = FolderMedia(tmp_path), MemoryIndex(DIM)
    kept, lost = media.put(b"kept"), media.put(b"lost")
    media.put_derived(lost, "thumb", b"small")
    await index.upsert([row("a", kept), row("b", kept)])
    careful, hasty = (MediaSweep(media, LocalIndex(index), grace_s=grace_s) for grace_s in (3600, 0))
    assert await careful.sweep() == MediaSwept(), "both were written a moment ago"
    grown_old(tmp_path)
    assert await careful.sweep() == MediaSwept(set_aside=1)
    assert media.get(lost) == b"lost"
    assert await careful.sweep() == MediaSwept(), "it was set aside a moment ago"
    assert await hasty.sweep() == MediaSwept(dropped=1)
    assert (media.get(lost), media.get(kept)) == (None, b"kept")
    assert files(tmp_path) == [kept]


async def test_sweeps_go_on_after_one_that_failed(tmp_path: Path) -> None:
    class Restarting(MemoryIndex):
        answers = False

        async def count(self, filter: Filter | None = None) -> int:
            if not self.answers:
                self.answers = True
                raise IndexUnavailable("restarting")
            return await super().count(filter)

    media = FolderMedia(tmp_path)
    media.put(b"lost")
    index = Restarting(DIM)
    await index.upsert([row("a", media.put(b"kept"))])
    running = asyncio.create_task(MediaSweep(media, LocalIndex(index), grace_s=0).run(0.01))
    async with asyncio.timeout(20):
        while len(files(tmp_path)) == 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_row_that_came_after_all_gets_its_file_back(tmp_path: Path) -> None:
    media, index = FolderMedia(tmp_path), MemoryIndex(DIM)
    address = media.put(b"late")
    await index.upsert([row("other", media_address(b"elsewhere"))])
    sweep = MediaSweep(media, LocalIndex(index), grace_s=0)
    assert (await sweep.sweep()).set_aside == 1
    await index.upsert([row("a", address)])
    assert media.get(address) == b"late"
    assert await sweep.sweep() == MediaSwept(brought_back=1)
    assert list(media.walk()) == [address]


@pytest.mark.parametrize("where", ["folder", "memory"])
async def test_of_many_files_those_without_rows_are_found(tmp_path: Path, where: str) -> None:
    store: MediaStore = FolderMedia(tmp_path) if where == "folder" else UrlMedia(f"memory://{tmp_path}", {}, 10)
    index = MemoryIndex(DIM)
    addresses = [store.put(f"file {number}".encode()) for number in range(60)]
    named = [address for number, address in enumerate(addresses) if number % 7]
    await index.upsert([row(f"r{number}", address) for number, address in enumerate(named)])
    sweep = MediaSweep(store, LocalIndex(index), grace_s=0)
    assert (await sweep.sweep()).set_aside == len(addresses) - len(named)
    assert sorted(store.walk()) == sorted(named)


async def test_an_index_that_was_lost_does_not_take_the_files_along(tmp_path: Path) -> None:
    media = FolderMedia(tmp_path)
    media.put(b"all that is left")
    sweep = MediaSweep(media, LocalIndex(MemoryIndex(DIM)), grace_s=0)
    assert await sweep.sweep() == await sweep.sweep() == MediaSwept()
    assert len(files(tmp_path)) == 1


async def test_where_the_index_does_not_answer_nothing_goes(tmp_path: Path) -> None:
    class Silent:
        async def count(self, filter: Filter | None = None) -> int:
            raise IndexUnavailable("no answer")

    media = FolderMedia(tmp_path)
    address = media.put(b"perhaps")
    media.set_aside(media.put(b"perhaps not"))
    with pytest.raises(IndexUnavailable):
        await MediaSweep(media, Silent(), grace_s=0).sweep()
    assert list(media.walk()) == [address]
    assert len(list(media.aside(0))) == 1


@pytest.mark.parametrize("where", ["folder", "memory"])
async def test_writers_of_the_same_files_lose_none_to_a_sweep_beside_them(tmp_path: Path, where: str) -> None:
    """Each writer puts a file, that others may have put before, names it, reads it back, and forgets it again; the
    sweep takes every file for old, and drops what was set aside longer ago than a write takes."""
    grace_s = 1.0
    opened: Callable[[], MediaStore] = lambda: (  # noqa: E731
        FolderMedia(tmp_path) if where == "folder" else UrlMedia(f"memory://{tmp_path}", {}, 10)
    )
    named: dict[str, int] = {}
    lock = threading.Lock()
    done = threading.Event()
    lost: list[str] = []
    writes = 0

    class Named:
        async def count(self, filter: Filter | None = None) -> int:
            if filter is None:
                return 1
            asked = set(filter.values)  # type: ignore[union-attr]
            with lock:
                return sum(number for address, number in named.items() if address in asked)

    class Old(MediaSweep):
        def _set_old_aside(self, address: str) -> bool:
            self._media.set_aside(address)
            return True

    def write(seed: int) -> None:
        nonlocal writes
        store, number = opened(), seed
        while not done.is_set():
            number = (number * 7 + 3) % 11
            data = f"file {number}".encode()
            address = store.put(data)
            with lock:
                named[address] = named.get(address, 0) + 1
                writes += 1
            for _ in range(3):
                if store.get(address) != data:
                    lost.append(address)
            with lock:
                named[address] -= 1

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for writer in writers:
        writer.start()
    sweep, swept = Old(opened(), Named(), grace_s=grace_s), MediaSwept()
    try:
        async with asyncio.timeout(60):
            while not (swept.dropped and swept.set_aside > 20 and writes > 200):
                one = await sweep.sweep()
                swept = MediaSwept(swept.set_aside + one.set_aside, 0, swept.dropped + one.dropped)
    finally:
        done.set()
        for writer in writers:
            await asyncio.to_thread(writer.join)
    assert lost == []
