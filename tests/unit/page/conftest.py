"""The page's logic over the whole HTTP API in this process: nothing is listening, nothing is made up."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image

from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.services import build_services
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from page.api import Api
from page.site import Site
from page.words import Words
from retrieval import MediaStore
from retrieval.memory import MemoryIndex

Photo = Callable[[str, str], Path]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    encoder = FakeEncoder(limits=ImageLimits())
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = LocalIndex(MemoryIndex(encoder.info.dim))
    media = MediaStore(tmp_path / "media")
    services = build_services(LocalEncoder(worker), index, media, encoder.info, ImageLimits())
    transport = httpx.ASGITransport(build_api(services, HttpLimits()))
    api = Api("http://127.0.0.1", transport=transport)
    yield api
    await api.close()
    await worker.close()


@pytest.fixture
def site(api: Api) -> Site:
    return Site(api, Words("en"), "/ui")


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """A file with a photo of one colour."""

    def make(name: str, colour: str) -> Path:
        path = tmp_path / name
        out = io.BytesIO()
        Image.new("RGB", (32, 24), colour).save(out, "PNG")
        path.write_bytes(out.getvalue())
        return path

    return make
