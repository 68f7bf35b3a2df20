"""Fixtures that several kinds of tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from loadtests.milvus_server import MilvusServer, missing_for_server
from tests.requirements import lacks
from tests.s3_server import S3Server

# Its limit of time for an example fails on a busy machine.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: those of a file may hold the time at which they were made, and pytest-xdist demands the
    same names of all its workers."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def starter_cache(request: pytest.FixtureRequest) -> Path:
    """A cache folder that outlives the session: the starter exports into it once, and loads from it afterwards."""
    return request.config.cache.mkdir("starter")


@pytest.fixture(scope="session")
def _s3_process() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(_s3_process: S3Server) -> S3Server:
    """A running S3 server whose one bucket is empty."""
    if not _s3_process.is_running:
        _s3_process.start()
    _s3_process.clear()
    return _s3_process


BRISK = {"proxy.timeTickInterval": 50, "queryCoord.checkInterval": 100, "queryCoord.distPullInterval": 100}
"""Milvus's pace for a server that has a core and no others to agree with."""


def milvus_of_tests(request: pytest.FixtureRequest, folder: Path, *, is_guarded: bool = False) -> MilvusServer:
    """One to start. Where none can be had the test is skipped, and in CI fails."""
    if reason := missing_for_server():
        lacks(reason)
    # One that is killed should be back soon; the other has to live through whatever else the machine does.
    patience = {} if is_guarded else {"common.session.ttl": 60}
    return MilvusServer(folder, request.config.cache.mkdir("milvus"), BRISK | patience, is_guarded=is_guarded)


@pytest.fixture(scope="session")
def milvus_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A real Milvus server, one for all tests that do no harm to it."""
    with milvus_of_tests(request, tmp_path_factory.mktemp("milvus")) as server:
        yield server


@pytest.fixture(scope="module")
def guarded_milvus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """One that speaks TLS, asks for a token, and may be killed."""
    with milvus_of_tests(request, tmp_path_factory.mktemp("guarded-milvus"), is_guarded=True) as server:
        yield server
