"""Searches that travel together: one whose filter names a new field does not hold up its neighbours."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deployments.remote import RemoteIndex
from deployments.retriever import RetrieverWorker
from retrieval.base import Payload, Query, Record
from retrieval.embedded import EmbeddedIndex
from retrieval.filters import In
from retrieval.open import EmbeddedOptions

AXES = np.eye(4, dtype=np.float32)


def handle(worker: RetrieverWorker) -> Any:
    """What a Serve handle offers of the worker, in this process."""

    async def ask(version: int, call: str, *arguments: Any, fresh: bool = False, **_: Any) -> Any:
        return await getattr(worker, call)(*arguments)

    return SimpleNamespace(ask=SimpleNamespace(remote=ask))


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments:DeprecationWarning")  # importing ray.serve
async def test_a_search_passes_one_that_waits_for_its_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = EmbeddedIndex(tmp_path, 4, "{}", EmbeddedOptions())
    remote = RemoteIndex(handle(RetrieverWorker(index)), 1)
    await remote.upsert([Record(f"{i}", AXES[i], Payload(kind="image", metadata={"n": i})) for i in range(4)])
    opened, read = threading.Event(), index._store.column

    def column(*arguments: Any) -> list[tuple[int, Any]]:
        assert opened.wait(30)
        return read(*arguments)

    monkeypatch.setattr(index._store, "column", column)
    waiting = asyncio.create_task(remote.search(Query(AXES[0], 4, "any", In("metadata.n", (2,)))))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(remote.search(Query(axis, 1)) for axis in AXES))
        assert [hit.id for hits in found for hit in hits] == ["0", "1", "2", "3"]
        assert not waiting.done()
    opened.set()
    assert [hit.id for hit in await waiting] == ["2"]
    await index.close()
