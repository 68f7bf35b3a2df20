"""The page's logic over the whole HTTP API in this process: nothing is listening, nothing is made up."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from PIL import Image

from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.jobs.options import Jobs
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.services import Services, build_services
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from page.api import Api
from page.site import Site
from page.words import Words
from retrieval import FolderMedia
from retrieval.memory import MemoryIndex
from tests.unit.deployments.conftest import picture
from tests.unit.deployments.job_stack import CountingDoorbell, options
from tests.unit.deployments.test_relevance import FIT

__all__ = ["picture"]
Photo = Callable[[str, str], Path]


Work = Callable[[], Awaitable[None]]


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    jobs = Jobs(options(tmp_path))
    yield jobs
    jobs.close()


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    encoder = FakeEncoder(limits=ImageLimits(), refuse="poison")
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = LocalIndex(MemoryIndex(encoder.info.dim))
    with TemporaryDirectory() as folder:
        media = FolderMedia(Path(folder))
        yield build_services(LocalEncoder(worker), index, media, encoder.info, ImageLimits(), calibration=lambda: FIT)
    await worker.close()


@pytest.fixture
async def api(services: Services, jobs: Jobs) -> AsyncIterator[Api]:
    transport = httpx.ASGITransport(build_api(services, HttpLimits(), job_service=jobs.service(CountingDoorbell())))
    api = Api("http://127.0.0.1", transport=transport)
    yield api
    await api.close()


@pytest.fixture
def work(services: Services, jobs: Jobs) -> Work:
    """Does what is due of all jobs."""

    async def work() -> None:
        await jobs.worker(services.items).work(5)

    return work


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
