"""A disk that is really full: a small tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.base import Payload, Query, Record
from retrieval.embedded import EmbeddedIndex
from retrieval.errors import StorageFull
from retrieval.media import FolderMedia
from retrieval.open import EmbeddedOptions

DIM = 128
pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def records(count: int, first: int) -> list[Record]:
    rows = np.random.default_rng(first).standard_normal((count, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [Record(f"{first + i:06}", row, Payload(kind="image")) for i, row in enumerate(rows)]


async def test_an_index_on_a_full_disk(small_disk: Path) -> None:
    index = EmbeddedIndex(small_disk / "index", DIM, "{}", EmbeddedOptions())
    kept, full = 0, None
    while full is None:
        try:
            await index.upsert(records(200, first=kept))
            kept += 200
        except StorageFull as error:
            full = error
    assert "nothing was written" in str(full)
    assert kept > 0
    assert await index.count() == kept
    stored = await index.get([f"{i:06}" for i in range(kept)])
    assert all(stored)
    ((hit,),) = await index.search([Query(stored[0].vector, 1)])  # type: ignore[union-attr]
    assert hit.id == "000000"
    await index.close()
    index = EmbeddedIndex(small_disk / "index", DIM, "{}", EmbeddedOptions())
    assert await index.count() == kept
    await index.close()


def test_media_on_a_full_disk(small_disk: Path) -> None:
    store = FolderMedia(small_disk)
    first = store.put(os.urandom(2_000_000))
    with pytest.raises(StorageFull):
        store.put(os.urandom(2_000_000))
    assert len([path for path in small_disk.rglob("*") if path.is_file()]) == 1
    store.delete(first)
    assert store.exists(store.put(os.urandom(2_000_000)))
