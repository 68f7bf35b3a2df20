"""The cache in a real redis-server, also while it is killed, hung, and back again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from redis import RedisError

from deployments.batch_queue import BatchLimits
from deployments.cached import CachedEncoder
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.local import LocalEncoder
from deployments.prepare_pool import PreparePool
from encoders import EncoderInput, Vectors, normalise
from encoders.cache import GuardedCache, GuardLimits, RedisCache
from encoders.cache.redis import PREFIX
from encoders.fake import FakeEncoder
from loadtests.redis_server import RedisServer, missing_for_redis

pytestmark = pytest.mark.skipif(missing_for_redis() is not None, reason=str(missing_for_redis()))

DIM = 64
CLIENTS = 16
LIMITS = GuardLimits(failures=3, pause_s=0.3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path, password="secret") as server:
        yield server


def vector(number: int) -> Vectors:
    return normalise(np.random.default_rng(number).standard_normal(DIM))


async def test_what_was_put_is_found_by_another_client(server: RedisServer) -> None:
    first, second = RedisCache(server.url, DIM), RedisCache(server.url, DIM)
    await first.put_many({b"a": vector(1), b"b": vector(2)})
    found = await second.get_many([b"b", b"c", b"a"])
    assert found[1] is None
    assert np.array_equal(np.stack([found[2], found[0]]), np.stack([vector(1), vector(2)]))
    assert await second.get_many([]) == []
    await first.close()
    await second.close()
    await second.close()


async def test_damaged_or_foreign_entries_are_misses(server: RedisServer) -> None:
    cache = RedisCache(server.url, DIM)
    await cache.put_many({b"whole": vector(1), b"cut": vector(2)})
    await cache._client.setrange(PREFIX + b"cut", 40, b"\x00\x01\x02\x03")
    await cache._client.set(PREFIX + b"foreign", b"hello")
    await cache._client.lpush(PREFIX + b"list", b"hello")
    found = await cache.get_many([b"whole", b"cut", b"foreign", b"list"])
    assert [entry is not None for entry in found] == [True, False, False, False]
    await cache.close()


async def test_nothing_is_asked_of_the_server_before_the_first_use() -> None:
    cache = RedisCache("redis://127.0.0.1:1/0", DIM)
    with pytest.raises(RedisError):
        await cache.get_many([b"a"])
    await cache.close()


class Load:
    """Clients that ask for texts, some new and some asked before, until they are told to stop."""

    def __init__(self, server: RedisServer) -> None:
        self.errors: list[str] = []
        self.failed: list[BaseException] = []
        self._encoder = FakeEncoder(dim=DIM)
        self._worker = EncoderWorker(self._encoder, BatchLimits(), pool=PreparePool(self._encoder.preparer, 1))
        guarded = GuardedCache(RedisCache(server.url, DIM), LIMITS, on_error=self.errors.append)
        self.port = CachedEncoder(LocalEncoder(self._worker), guarded, "f", on_lookup=self._count)
        # Nothing is remembered in this process: every lookup goes to the server.
        self.port._recent._max_bytes = 0
        self._stop = asyncio.Event()
        self._answers = asyncio.Semaphore(0)
        self._hits = asyncio.Semaphore(0)
        self._clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]

    def _count(self, result: str, count: int) -> None:
        for _ in range(count if result == "hit" else 0):
            self._hits.release()

    async def _client(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            words = f"client {number} turn {turn - turn % 2}"
            try:
                outcome = (await self.port.encode([EncodeTask(EncoderInput(text=words), "query")]))[0]
                expected = self._encoder.preparer(EncoderInput(text=words), "query").payload
                assert np.array_equal(outcome.unwrap(), expected)
            except Exception as error:
                self.failed.append(error)
            self._answers.release()
            await asyncio.sleep(0.001)

    async def more(self, count: int) -> None:
        """Until that many more requests have ended, well or not."""
        self._answers = asyncio.Semaphore(0)
        for _ in range(count):
            await self._answers.acquire()

    async def hits(self, count: int) -> None:
        """Until that many more lookups were found."""
        self._hits = asyncio.Semaphore(0)
        for _ in range(count):
            await self._hits.acquire()

    async def close(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._clients)
        await self.port.close()
        await self._worker.close()


async def test_killed_under_load_no_request_fails_and_it_is_used_again_once_it_is_back(server: RedisServer) -> None:
    load = Load(server)
    await load.hits(20)
    server.kill()
    await load.more(300)
    assert "skip" in load.errors, "it is left alone"
    server.start()
    await load.hits(20)
    await load.close()
    assert load.failed == []


async def test_hung_under_load_no_request_fails(server: RedisServer) -> None:
    load = Load(server)
    await load.hits(20)
    server.signal(signal.SIGSTOP)
    await load.more(300)
    assert "skip" in load.errors
    server.signal(signal.SIGCONT)
    await load.hits(20)
    await load.close()
    assert load.failed == []


async def test_a_wrong_password_costs_nothing_but_the_cache(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[str] = []
    url = server.url.replace("secret", "wrong-secret")
    cache = GuardedCache(RedisCache(url, DIM), LIMITS, on_error=errors.append)
    assert await cache.get_many([b"a"]) == [None]
    await cache.close()
    assert errors == ["get"]
    assert "secret" not in caplog.text
