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
from deployments.local import LocalEncoder, LocalIndex, LocalReranker
from deployments.prepare_pool import PreparePool
from deployments.rerank import RerankWorker
from deployments.services import build_services
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from encoders.images import ImageLimits
from retrieval import MediaStore
from retrieval.memory import MemoryIndex

Serve = Callable[..., AbstractContextManager[str]]


@contextmanager
def served(
    encoder: FakeEncoder,
    folder: Path,
    reranker: FakeReranker | None = None,
    *,
    http_port: int = 0,
    memory: MemoryIndex | None = None,
) -> Iterator[str]:
    """The address of a server that ends with the block, and drops its connections. `memory` outlives it."""
    listening = socket.create_server(("127.0.0.1", http_port))
    started, servers = threading.Event(), []

    async def main() -> None:
        worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
        index = LocalIndex(MemoryIndex(encoder.info.dim) if memory is None else memory)
        media = MediaStore(folder / "media")
        scoring, port = None, None
        if reranker is not None:
            scoring = RerankWorker(reranker, BatchLimits(), pool=PreparePool(reranker.preparer, 1), media=media)
            port = LocalReranker(scoring, frozenset((reranker.info.name,)))
        services = build_services(LocalEncoder(worker), index, media, encoder.info, ImageLimits(), reranker=port)
        app = build_api(services, HttpLimits())
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", ws="none"))
        servers.append(server)
        started.set()
        await server.serve(sockets=[listening])
        await worker.close()
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
