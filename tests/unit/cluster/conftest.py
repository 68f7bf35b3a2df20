"""The real HTTP application on a loopback socket: the fake encoder, the memory index, no Ray."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import uvicorn

from cluster.client import Client
from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.jobs.doorbells import CallDoorbell
from deployments.jobs.options import Jobs
from deployments.local import LocalEncoder, LocalIndex, LocalReranker
from deployments.prepare_pool import PreparePool
from deployments.rerank import RerankWorker
from deployments.services import build_services
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.images import ImageLimits
from retrieval import FolderMedia, MilvusOptions, open_index
from retrieval.memory import MemoryIndex
from retrieval.open import Backend
from tests.unit.deployments.job_stack import options

Serve = Callable[..., AbstractContextManager[str]]


@contextmanager
def served(
    encoder: FakeEncoder,
    folder: Path,
    reranker: FakeReranker | None = None,
    *,
    http_port: int = 0,
    memory: MemoryIndex | None = None,
    backend: Backend = "memory",
    uri: str | None = None,
) -> Iterator[str]:
    """The address of a server that ends with the block, and drops its connections. `memory` outlives it; another index
    is in the folder, or on the Milvus server at `uri`."""
    listening = socket.create_server(("127.0.0.1", http_port))
    started, servers = threading.Event(), []

    async def main() -> None:
        worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
        opened = memory or await open_index(
            backend,
            dim=encoder.info.dim,
            contract_json=encoder.info.contract.to_json(),
            path=None if uri else folder / "index",
            uri=uri,
            milvus=MilvusOptions(alias=f"served_{folder.name}", consistency="session"),
        )
        index = LocalIndex(opened)
        media = FolderMedia(folder / "media")
        scoring, port = None, None
        if reranker is not None:
            scoring = RerankWorker(reranker, BatchLimits(), pool=PreparePool(reranker.preparer, 1), media=media)
            port = LocalReranker(scoring, frozenset((reranker.info.name,)))
        services = build_services(LocalEncoder(worker), index, media, encoder.info, ImageLimits(), reranker=port)
        jobs = Jobs(options(folder))
        indexing = jobs.worker(services.items)
        doorbell = CallDoorbell(lambda: indexing.work(1.0), max_workers=1, worker_items=1)
        app = build_api(services, HttpLimits(), job_service=jobs.service(doorbell))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        servers.append(server)
        started.set()
        await server.serve(sockets=[listening])
        await doorbell.close()
        jobs.close()
        await worker.close()
        await opened.close()
        if scoring is not None:
            await scoring.close()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        servers[0].should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def serve() -> Serve:
    """Starts further servers: an encoder, a folder and perhaps a reranker in, an address out."""
    return served


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(FakeEncoder(), tmp_path / "server") as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as connected:
        yield connected
