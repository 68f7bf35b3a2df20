"""The whole HTTP API in this process: real services, a real media store, the fake encoder and the exact index."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.calibration import MatchCalibration
from deployments.encoder import EncoderWorker
from deployments.errors import code_of
from deployments.items import ItemService
from deployments.jobs.options import Jobs
from deployments.keys.ring import KeyRing
from deployments.local import LocalEncoder, LocalIndex
from deployments.ports import RerankPort, StructurePort
from deployments.prepare_pool import PreparePool
from deployments.rewriting import NO_REWRITING, RewriteDefaults
from deployments.services import RerankDefaults, build_services
from deployments.stages import Stages
from encoders import Prepared, Vectors
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia, MediaStore, VectorIndex
from retrieval.memory import MemoryIndex
from tests.unit.deployments.job_stack import CountingDoorbell, options
from tests.unit.deployments.ocr_stack import Stack

Picture = Callable[..., bytes]


class CountingEncoder(FakeEncoder):
    """Remembers how many items each forward call had."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.forwards: list[int] = []

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        self.forwards.append(len(batch))
        return super().forward(batch)


@dataclass
class Api:
    """A running API and what is behind it."""

    http: httpx.AsyncClient
    encoder: FakeEncoder
    index: VectorIndex
    media: MediaStore
    folder: Path
    done: list[tuple[str, Stages]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    reranks: list[str] = field(default_factory=list)
    rewrites: list[str] = field(default_factory=list)
    jobs: Jobs | None = None
    items: ItemService | None = None

    def files(self) -> list[str]:
        """Every file of the media store."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    async def add(self, **item: Any) -> dict[str, Any]:
        """Stores one item, which must be taken."""
        answer = await self.http.post("/v1/items", json=item)
        assert answer.status_code in (200, 201), answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def ids(self, **query: Any) -> list[str]:
        """The ids that a search finds, best first."""
        answer = await self.http.post("/v1/search", json=query)
        assert answer.status_code == 200, answer.text
        return [hit["id"] for hit in answer.json()["hits"]]


Start = Callable[..., AbstractAsyncContextManager[Api]]


@asynccontextmanager
async def running(
    folder: Path,
    *,
    encoder: FakeEncoder | None = None,
    index: VectorIndex | None = None,
    batches: BatchLimits | None = None,
    limits: HttpLimits | None = None,
    keys: KeyRing | None = None,
    images: ImageLimits | None = None,
    reranker: RerankPort | None = None,
    rerank: RerankDefaults | None = None,
    structurer: StructurePort | None = None,
    rewrite: RewriteDefaults = NO_REWRITING,
    others: Sequence[FakeEncoder] = (),
    media: MediaStore | None = None,
    calibration: Callable[[], MatchCalibration | None] = lambda: None,
) -> AsyncIterator[Api]:
    images = images or ImageLimits()
    encoder = encoder or CountingEncoder(limits=images)
    index = index or MemoryIndex(encoder.info.dim)
    workers = [
        EncoderWorker(one, batches or BatchLimits(), pool=PreparePool(one.preparer, 1)) for one in (encoder, *others)
    ]
    media = media or FolderMedia(folder)
    reranks: list[str] = []
    rewrites: list[str] = []
    services = build_services(
        LocalEncoder(workers[0]),
        LocalIndex(index),
        media,
        encoder.info,
        images,
        others=[(LocalEncoder(worker), worker.info) for worker in workers[1:]],
        reranker=reranker,
        rerank=rerank or RerankDefaults(),
        on_rerank=reranks.append,
        structurer=structurer,
        rewrite=rewrite,
        on_rewrite=rewrites.append,
        calibration=calibration,
    )
    done: list[tuple[str, Stages]] = []
    errors: list[tuple[str, str]] = []
    jobs = Jobs(options(folder.parent))
    app = build_api(
        services,
        limits or HttpLimits(),
        keys=keys,
        job_service=jobs.service(CountingDoorbell()),
        on_done=lambda operation, status, stages: done.append((operation, stages)),
        on_error=lambda operation, error: errors.append((operation, code_of(error))),
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://crossray") as http:
        yield Api(http, encoder, index, media, folder, done, errors, reranks, rewrites, jobs, services.items)
    jobs.close()
    for worker in workers:
        await worker.close()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an API with other parts or limits than the usual ones."""
    return lambda **parts: running(tmp_path / "media", **parts)


@pytest.fixture
async def api(start: Start) -> AsyncIterator[Api]:
    async with start() as one:
        yield one


@pytest.fixture
def picture() -> Picture:
    """An image file: a colour, and a format of Pillow's."""

    def make(colour: Any = "red", kind: str = "PNG", size: tuple[int, int] = (32, 24), mode: str = "RGB") -> bytes:
        out = io.BytesIO()
        Image.new(mode, size, colour).save(out, kind)
        return out.getvalue()

    return make


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path)
    yield stack
    await stack.close()
