"""Whatever the store does, a guarded lookup is a vector or a miss, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from encoders import Vectors
from encoders.cache import GuardedCache, GuardLimits

VECTOR = np.ones(4, dtype=np.float32)
LIMITS = GuardLimits(get_timeout_s=0.05, put_timeout_s=0.05, failures=3, pause_s=10.0)


class MoodyStore:
    """Answers, fails or hangs, as it is told."""

    def __init__(self) -> None:
        self.mood = "well"
        self.calls = 0

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        await self._behave()
        return [VECTOR for _ in keys]

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        await self._behave()

    async def close(self) -> None:
        await self._behave()

    async def _behave(self) -> None:
        self.calls += 1
        if self.mood == "ill":
            raise ConnectionError("redis://:secret@store refused")
        if self.mood == "hung":
            await asyncio.Event().wait()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def guarded() -> tuple[GuardedCache, MoodyStore, Clock, list[str]]:
    store, clock, errors = MoodyStore(), Clock(), list[str]()
    return GuardedCache(store, LIMITS, on_error=errors.append, clock=clock), store, clock, errors


async def test_a_store_that_is_well_answers() -> None:
    cache, _, _, errors = guarded()
    assert (await cache.get_many([b"a"]))[0] is VECTOR
    await cache.put_many({b"a": VECTOR})
    assert errors == []


async def test_failures_and_hangs_are_misses_and_then_the_store_is_left_alone() -> None:
    cache, store, _, errors = guarded()
    store.mood = "ill"
    assert await cache.get_many([b"a", b"b"]) == [None, None]
    store.mood = "hung"
    assert await cache.get_many([b"a"]) == [None]
    await cache.put_many({b"a": VECTOR})
    assert await cache.get_many([b"a"]) == [None]
    assert store.calls == 3, "the fourth was not tried"
    assert errors == ["get", "get", "put", "skip"]


async def test_one_call_tries_again_after_the_pause() -> None:
    cache, store, clock, _ = guarded()
    store.mood = "ill"
    for _ in range(5):
        await cache.get_many([b"a"])
    clock.now += LIMITS.pause_s
    store.mood = "hung"
    calls = store.calls
    trial = asyncio.create_task(cache.get_many([b"a"]))
    await asyncio.sleep(0)
    assert await cache.get_many([b"a"]) == [None]
    assert store.calls == calls + 1, "only the trial asked the store"
    assert await trial == [None]
    store.mood = "well"
    clock.now += LIMITS.pause_s
    assert (await cache.get_many([b"a"]))[0] is VECTOR
    assert (await cache.get_many([b"a"]))[0] is VECTOR, "one success is enough"


async def test_single_failures_do_not_add_up() -> None:
    cache, store, _, errors = guarded()
    for mood in ("ill", "ill", "well") * 3:
        store.mood = mood
        await cache.get_many([b"a"])
    assert "skip" not in errors


async def test_the_log_does_not_show_what_the_store_said(caplog) -> None:
    cache, store, _, _ = guarded()
    store.mood = "ill"
    for _ in range(4):
        await cache.get_many([b"a"])
    await cache.close()
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text
