"""Both clients behind one face, and the real HTTP application on loopback for them to talk to."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from crossray_client import AsyncClient, Client
from encoders.fake import FakeEncoder
from encoders.fake_reranker import FakeReranker
from tests.unit.cluster.conftest import served

Answer = Callable[[httpx.Request], httpx.Response]


class Waiting:
    """An AsyncClient whose calls are waited for: so one test serves both clients."""

    def __init__(self, client: AsyncClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._client, name)
        return (lambda *args, **kwargs: self._wait(value(*args, **kwargs))) if callable(value) else value

    def _wait(self, value: Any) -> Any:
        if inspect.isasyncgen(value):
            return self._walk(value)
        return self._runner.run(value) if inspect.isawaitable(value) else value

    def _walk(self, values: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(anext(values))
            except StopAsyncIteration:
                return


Connect = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of this kind, which are closed at the end."""
    with ExitStack() as stack:
        if request.param == "sync":
            yield lambda url, **options: stack.enter_context(Client(url, trust_env=False, **options))
            return
        runner = stack.enter_context(asyncio.Runner())

        def make(url: str, **options: Any) -> Waiting:
            client = Waiting(AsyncClient(url, trust_env=False, **options), runner)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def answering(connect: Connect) -> Callable[..., Any]:
    """A client whose server is a function."""

    def make(answer: Answer, **options: Any) -> Any:
        return connect("http://server", transport=httpx.MockTransport(answer), **options)

    return make


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real application, with a reranker; shared by a module's tests."""
    folder = tmp_path_factory.mktemp("server")
    with served(FakeEncoder(refuse="poison"), folder, FakeReranker()) as address:
        yield address


@pytest.fixture
def client(connect: Connect, url: str) -> Any:
    return connect(url)


def picture(colour: str, size: tuple[int, int] = (32, 24)) -> bytes:
    """An image file of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def photo(tmp_path: Path) -> Callable[[str], Path]:
    """An image file of one colour, on disk."""

    def make(colour: str) -> Path:
        path = tmp_path / f"{colour}.png"
        path.write_bytes(picture(colour))
        return path

    return make
