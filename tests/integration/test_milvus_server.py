"""Milvus by URI, opened as the Retriever deployment opens it. The server is Milvus Lite's own, on a loopback port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deployments import retriever_deployment
from deployments.index_places import IndexPlaces
from deployments.remote import RemoteIndex
from deployments.retriever_deployment import RetrieverDeployment, RetrieverOptions
from encoders.fake import FakeEncoder
from retrieval import EmbeddedOptions, MilvusOptions, open_index
from retrieval.base import Payload, Query, Record
from retrieval.errors import IndexUnavailable

pytestmark = pytest.mark.filterwarnings("ignore:Using extra keyword arguments")  # importing ray.serve


class EncoderHandle:
    """A Serve handle's one method that opening an index calls."""

    def __init__(self, encoder: FakeEncoder) -> None:
        async def info() -> Any:
            return encoder.info

        self.info = SimpleNamespace(remote=info)


class Replica(RetrieverDeployment):
    """What Serve awaits, `__init__` and `__del__`, the test calls or leaves out."""

    def __del__(self) -> None: ...  # type: ignore[override]


@pytest.fixture(autouse=True)
def without_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica's log is Serve's, of which there is none here."""
    monkeypatch.setattr(retriever_deployment, "follow_serve", lambda: None)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    """The server and its URI."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, database, port = start_server_in_thread(str(tmp_path / "server.db"), host="127.0.0.1")
    yield server, f"http://127.0.0.1:{port}"
    server.stop(grace=2).wait()
    database.close()


@pytest.fixture
def server(running: tuple[Any, str]) -> str:
    return running[1]


@contextlib.asynccontextmanager
async def retriever(folder: Path, uri: str, encoder: FakeEncoder) -> AsyncIterator[RemoteIndex]:
    places = IndexPlaces("milvus", folder, uri, EmbeddedOptions(), MilvusOptions(deadline_s=2))
    options = RetrieverOptions(places, f"sqlite:///{folder}/state.sqlite3")
    deployment = Replica.__new__(Replica)
    await deployment.__init__(options, EncoderHandle(encoder))  # type: ignore[misc]
    try:
        index = RemoteIndex(SimpleNamespace(ask=SimpleNamespace(remote=deployment.ask)), 1)
        index.replica = deployment  # type: ignore[attr-defined]
        yield index
    finally:
        await deployment._versions.close()


def item(encoder: FakeEncoder, id: str) -> Record:
    vector = np.eye(encoder.info.dim, dtype=np.float32)[0]
    return Record(id, vector, Payload(kind="text", text=id))


async def test_a_server_by_uri(tmp_path: Path, server: str) -> None:
    encoder = FakeEncoder()
    async with retriever(tmp_path / "data", server, encoder) as index:
        record = item(encoder, "a")
        await index.upsert([record])
        hits = await index.search(Query(record.vector, 3))
        assert [hit.id for hit in hits] == ["a"]
        assert server in (await index.health()).detail
    assert not (tmp_path / "data" / "milvus").exists(), "a server keeps its own files"


async def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1"):
        async with retriever(tmp_path, "http://127.0.0.1:1", FakeEncoder()):
            pass


async def test_a_replica_stays_while_its_server_is_away(tmp_path: Path, running: tuple[Any, str]) -> None:
    """Serve would replace one that is not healthy, by one that does not start."""
    encoder = FakeEncoder()
    async with retriever(tmp_path / "data", running[1], encoder) as index:
        await index.replica.check_health()  # type: ignore[attr-defined]
        running[0].stop(grace=None).wait()
        await index.replica.check_health()  # type: ignore[attr-defined]
        with pytest.raises(IndexUnavailable):
            await index.search(Query(item(encoder, "a").vector, 3))


async def test_two_encoders_share_a_server_and_no_collection(tmp_path: Path, server: str) -> None:
    for dim in (32, 48, 32):
        encoder = FakeEncoder(dim=dim)
        async with retriever(tmp_path / str(dim), server, encoder) as index:
            await index.upsert([item(encoder, f"of {dim}")])
            found = await index.scan("", 10)
            assert [(record.id, record.vector.shape) for record in found] == [(f"of {dim}", (dim,))]


async def test_a_collection_from_before_each_contract_had_an_alias_is_found(tmp_path: Path, server: str) -> None:
    encoder = FakeEncoder()
    contract = encoder.info.contract.to_json()
    old = await open_index("milvus", dim=encoder.info.dim, contract_json=contract, uri=server)
    await old.upsert([item(encoder, "a")])
    await old.close()
    async with retriever(tmp_path, server, encoder) as index:
        assert await index.count() == 1
