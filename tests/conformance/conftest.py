"""Indexes that the tests share: fresh ones, durable ones, a full one that is only read, and the oracle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from index_records import (
    COUNT,
    DIM,
    DURABLE,
    FULL_CONTRACT,
    NAMES,
    RECORDS,
    Opener,
    opener_of,
    settled,
)

from retrieval.base import VectorIndex
from retrieval.memory import MemoryIndex


@pytest.fixture(params=NAMES)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return opener_of(request, tmp_path)


@pytest.fixture(params=DURABLE)
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    return opener_of(request, tmp_path)


@pytest.fixture
async def index(opener: Opener) -> AsyncIterator[VectorIndex]:
    index = await opener()
    yield index
    await index.close()


@pytest.fixture(scope="session", params=NAMES)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    """Holds `RECORDS`; for tests that only read. An index is not bound to the event loop that it was opened on."""

    opener = opener_of(request, tmp_path_factory.mktemp("full"), FULL_CONTRACT)

    async def fill() -> VectorIndex:
        index = await opener()
        await index.upsert(RECORDS[: COUNT // 2])
        await settled(index, request.param)
        await index.upsert(RECORDS[COUNT // 2 :])
        return index

    index = asyncio.run(fill())
    yield index
    asyncio.run(index.close())


@pytest.fixture(scope="session")
def oracle() -> MemoryIndex:
    index = MemoryIndex(DIM)
    asyncio.run(index.upsert(RECORDS))
    return index
