"""Several indexes on one real Milvus server, as several retriever replicas are; and the index types that it has."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.doctor_milvus import milvus_found
from cluster.vector_settings import IndexSettings
from loadtests.milvus_server import MilvusServer
from retrieval.base import Payload, Query, Record, VectorIndex
from retrieval.open import IndexType, MilvusOptions, open_index

pytestmark = pytest.mark.root
DIM = 32
TYPES: tuple[IndexType, ...] = ("flat", "ivf-flat", "ivf-sq8", "hnsw")
ROWS = 2_000
"""A server compares fewer than 1,024 rows one by one, and builds no index for them."""


@pytest.fixture
def contract() -> str:
    return f'{{"model":"replicas-{uuid.uuid4().hex}"}}'


async def opened(server: MilvusServer, contract: str, **changes: Any) -> VectorIndex:
    options = server.options(alias=f"of_{hash(contract) % 10**12}", **changes)
    return await open_index("milvus", dim=DIM, contract_json=contract, uri=server.uri, milvus=options)


def rows(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def records(vectors: np.ndarray, prefix: str = "") -> list[Record]:
    return [Record(f"{prefix}{i:05}", vector, Payload(kind="image")) for i, vector in enumerate(vectors)]


async def test_replicas_that_open_a_new_collection_at_once_share_it(milvus_server: MilvusServer, contract: str) -> None:
    levels = ("session", "strong", "bounded")
    mine, other, loose = await asyncio.gather(*(opened(milvus_server, contract, consistency=level) for level in levels))
    vectors = rows(3)
    await mine.upsert(records(vectors[:2]))
    query = Query(vectors[0], 3)
    for index in (mine, other):
        assert [hit.id for hit in (await index.search([query]))[0]] == ["00000", "00001"]
    assert await other.delete(["00001"]) == 1
    await other.upsert(records(vectors[2:], "b"))
    assert {hit.id for hit in (await other.search([query]))[0]} == {"00000", "b00000"}
    async with asyncio.timeout(10):  # what another wrote is seen in the end, whatever was asked for
        for index in (mine, loose):
            while {hit.id for hit in (await index.search([query]))[0]} != {"00000", "b00000"}:  # noqa: ASYNC110 (another's)
                await asyncio.sleep(0.02)
    later = await opened(milvus_server, contract, consistency="session")
    assert await later.count() == 2
    assert {hit.id for hit in (await later.search([query]))[0]} == {"00000", "b00000"}
    for index in (mine, other, loose, later):
        await index.close()


async def test_who_catches_up_reads_what_another_replica_was_told_is_written(
    milvus_server: MilvusServer, contract: str
) -> None:
    mine, other = [await opened(milvus_server, contract, consistency="bounded") for _ in range(2)]
    for number, record in enumerate(records(rows(5)), start=1):
        await other.upsert([record])
        await mine.catch_up()
        found = await asyncio.gather(mine.get([record.id]), mine.scan("", 10), mine.count())
        assert [len([one for one in found[0] if one is not None]), len(found[1]), found[2]] == [1, number, number]
    for index in (mine, other):
        await index.close()


async def test_a_delete_finds_what_another_replica_was_just_told_is_written(
    milvus_server: MilvusServer, contract: str
) -> None:
    mine, other = [await opened(milvus_server, contract, consistency="bounded") for _ in range(2)]
    for record in records(rows(5)):
        await other.upsert([record])
        assert await mine.delete([record.id]) == 1
        await other.catch_up()
        assert await other.get([record.id]) == [None]
    for index in (mine, other):
        await index.close()


def test_the_doctor_says_what_the_server_is(milvus_server: MilvusServer) -> None:
    answers, detail = milvus_found(IndexSettings(backend="milvus", uri=milvus_server.uri)) or (False, "")
    assert answers
    assert f"Milvus v2.3.5-lite at {milvus_server.uri}" in detail
    assert "`contains` is evaluated by the retriever" in detail


async def recall_of(server: MilvusServer, contract: str, type: IndexType) -> tuple[str, float]:
    """What searches after the index was built, and the share of the 10 nearest that it finds."""
    from pymilvus import MilvusClient

    # `bounded` may miss the last rows, which would look like a worse recall.
    index = await opened(server, contract.replace("replicas", type), type=type, consistency="session")
    stored, queries = rows(ROWS), rows(40, seed=1)
    await index.upsert(records(stored))
    health = await index.health()
    client = MilvusClient(server.uri, dedicated=True)
    collection = health.detail.split("collection ")[1].split(";")[0]
    await asyncio.to_thread(client.flush, collection)
    async with asyncio.timeout(60):
        while client.describe_index(collection, "embedding")["indexed_rows"] < ROWS:  # noqa: ASYNC110 (the server's)
            await asyncio.sleep(0.1)
    client.close()
    exact = np.argsort(-queries @ stored.T, axis=1)[:, :10]
    found = await index.search([Query(query, 10) for query in queries])
    hits = [len({int(hit.id) for hit in answer} & {*map(int, near)}) for answer, near in zip(found, exact, strict=True)]
    await index.close()
    return health.structure, sum(hits) / (10 * len(queries))


async def test_each_index_type_reaches_the_recall_that_is_promised(milvus_server: MilvusServer, contract: str) -> None:
    found = dict(await asyncio.gather(*(recall_of(milvus_server, contract, type) for type in TYPES)))
    assert [*found] == [*TYPES]
    assert min(found.values()) >= 0.95, found


@pytest.mark.parametrize("type", TYPES)
async def test_lite_has_the_types_that_it_uses(type: IndexType, tmp_path: Path) -> None:
    index = await open_index("milvus", dim=4, contract_json="{}", path=tmp_path, milvus=MilvusOptions(type=type))
    vectors = np.eye(4, dtype=np.float32)
    await index.upsert(records(vectors))
    assert [hits[0].id for hits in await index.search([Query(v, 1) for v in vectors])] == [f"{i:05}" for i in range(4)]
    assert (await index.health()).structure == type
    await index.close()
