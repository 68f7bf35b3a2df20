"""An EncodePort with a cache in front: what was encoded before is not encoded again, nor what is being encoded now.

Equal inputs that arrive together travel once (single flight). Vectors are stored in the background, in batches; the
cache behind may be slow, damaged or dead without anyone waiting for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from deployments.batch_queue import Lane
from deployments.coalescer import Coalescer
from deployments.encoder import EncodeOutcome, EncodeTask
from deployments.ports import EncodePort
from encoders import EncoderInfo, Vectors
from encoders.cache import (
    LOOKUP_TIMEOUT_S,
    CacheBackend,
    EmbeddingCache,
    GuardedCache,
    GuardLimits,
    RecentVectors,
    cache_key,
    open_cache,
)

RECENT_BYTES = 8 << 20
LOOKUP_ITEMS = 64
HASH_HERE_BYTES = 256 << 10
"""Larger images are hashed on a thread: SHA-256 passes about 1 GB/s, and the event loop serves everybody."""
MAX_UNSTORED = 4096
"""Vectors that may wait to be stored; more are dropped."""
STORE_ITEMS = 256
STORE_PAUSE_S = 0.2
"""Writes gather for this long where they are fewer than STORE_ITEMS: a transaction an item would cost more than the
lookup."""

Lookup: TypeAlias = Literal["hit", "miss", "shared"]
"""What became of an input: `shared` is one that another's encoding, under way already, answered."""
FlightKey: TypeAlias = tuple[Lane, bytes]
"""The lane is part of it: a search must not wait behind bulk work that happens to encode the same."""
Flight: TypeAlias = "asyncio.Future[EncodeOutcome]"


class CachedEncoder:
    """An EncodePort over another. A hit's only stage is `cache`."""

    def __init__(
        self,
        port: EncodePort,
        cache: EmbeddingCache,
        fingerprint: str,
        *,
        on_lookup: Callable[[Lookup, int], None] = lambda result, count: None,
        on_dropped: Callable[[], None] = lambda: None,
    ) -> None:
        """`cache` must not raise nor be late (a GuardedCache). `on_lookup` hears what became of how many."""
        self._port = port
        self._cache = cache
        self._fingerprint = fingerprint
        self._on_lookup = on_lookup
        self._on_dropped = on_dropped
        self._recent = RecentVectors(RECENT_BYTES)
        self._flights: dict[FlightKey, Flight] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._unstored: dict[bytes, Vectors] = {}
        self._storing: asyncio.Task[None] | None = None
        self._lookup: Coalescer[bytes, Vectors | None] = Coalescer(cache.get_many, max_items=LOOKUP_ITEMS)

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        """One outcome a task, in order. Raises what the port raises, for all.

        A flight that somebody else started and that failed is tried once more on our own account.
        """
        started = time.perf_counter()
        keys = [await self._key(task) for task in tasks]
        outcomes: dict[int, EncodeOutcome] = {}
        for row, key in enumerate(keys):
            vector = self._recent.get(key)
            if vector is not None:
                outcomes[row] = EncodeOutcome(vector, None, {"cache": time.perf_counter() - started})
        if outcomes:
            self._on_lookup("hit", len(outcomes))
        missing = [row for row in range(len(tasks)) if row not in outcomes]
        for last in (False, True):
            if not missing:
                break
            flights, own = self._board(missing, keys, tasks)
            # Waited for, not awaited: cancelling this caller must not cancel what others wait for.
            await asyncio.wait(set(flights.values()))
            failed = [row for row in missing if _failed(flights[row])]
            outcomes |= {row: flights[row].result() for row in missing if row not in failed}
            for row in failed:
                if last or flights[row] in own:
                    flights[row].result()  # raises
            missing = failed
        return [outcomes[row] for row in range(len(tasks))]

    async def close(self) -> None:
        """Waits for what is under way, stores what was not stored yet, and closes the cache."""
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._storing is not None:
            await self._storing
        await self._cache.close()

    async def _key(self, task: EncodeTask) -> bytes:
        if len(task.input.image or b"") <= HASH_HERE_BYTES:
            return cache_key(task.input, task.role, self._fingerprint)
        return await asyncio.to_thread(cache_key, task.input, task.role, self._fingerprint)

    def _board(
        self, rows: Sequence[int], keys: Sequence[bytes], tasks: Sequence[EncodeTask]
    ) -> tuple[dict[int, Flight], set[Flight]]:
        """The flight of each row, and those among them that start here and now."""
        flights: dict[int, Flight] = {}
        own: dict[FlightKey, EncodeTask] = {}
        for row in rows:
            name = (tasks[row].lane, keys[row])
            if name not in self._flights:
                self._flights[name] = asyncio.get_running_loop().create_future()
                own[name] = tasks[row]
            flights[row] = self._flights[name]
        if len(own) < len(flights):
            self._on_lookup("shared", len(flights) - len(own))
        if own:
            task = asyncio.get_running_loop().create_task(self._fly(own))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return flights, {self._flights[name] for name in own}

    async def _fly(self, group: dict[FlightKey, EncodeTask]) -> None:
        """Looks all of a group up, encodes the misses in one call, and lands each flight."""
        flights = {name: self._flights[name] for name in group}
        try:
            started = time.perf_counter()
            found = await self._lookup.many([key for _, key in group])
            lookup_s = time.perf_counter() - started
            misses: dict[FlightKey, EncodeTask] = {}
            for name, vector in zip(group, found, strict=True):
                if vector is None:
                    misses[name] = group[name]
                else:
                    self._recent.put(name[1], vector)
                    flights[name].set_result(EncodeOutcome(vector, None, {"cache": lookup_s}))
            if len(misses) < len(group):
                self._on_lookup("hit", len(group) - len(misses))
            if misses:
                self._on_lookup("miss", len(misses))
                outcomes = await self._port.encode(list(misses.values()))
                for name, outcome in zip(misses, outcomes, strict=True):
                    self._keep(name[1], outcome)
                    stages = {"cache": lookup_s, **outcome.stages_s}
                    flights[name].set_result(EncodeOutcome(outcome.vector, outcome.error, stages))
        except BaseException as error:
            for flight in flights.values():
                if not flight.done():
                    flight.set_exception(error) if isinstance(error, Exception) else flight.cancel()
                    flight.cancelled() or flight.exception()  # seen: its callers may all be gone
            if not isinstance(error, Exception):
                raise
        finally:
            for name in group:
                del self._flights[name]

    def _keep(self, key: bytes, outcome: EncodeOutcome) -> None:
        """Remembers a vector and sees to it that it is stored; an input's error is not remembered."""
        if outcome.vector is None or outcome.error is not None:
            return
        vector = np.array(outcome.vector)  # a copy: a row of a batch would keep the whole batch in memory
        vector.flags.writeable = False
        self._recent.put(key, vector)
        if len(self._unstored) >= MAX_UNSTORED:
            self._on_dropped()
            return
        self._unstored[key] = vector
        if self._storing is None:
            self._storing = asyncio.get_running_loop().create_task(self._store())

    async def _store(self) -> None:
        try:
            while self._unstored:
                if len(self._unstored) < STORE_ITEMS:
                    await asyncio.sleep(STORE_PAUSE_S)
                batch = {key: self._unstored.pop(key) for key in list(self._unstored)[:STORE_ITEMS]}
                await self._cache.put_many(batch)
        finally:
            self._storing = None


def _failed(flight: Flight) -> bool:
    return flight.cancelled() or flight.exception() is not None


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """Which store a CachedEncoder is opened over."""

    backend: CacheBackend
    path: Path
    """Of the SQLite file."""
    max_bytes: int
    """Of the SQLite file."""
    url: str | None = field(repr=False)
    """Of Redis; it may hold a password."""


def open_cached(
    port: EncodePort,
    options: CacheOptions,
    info: EncoderInfo,
    *,
    on_lookup: Callable[[Lookup, int], None],
    on_error: Callable[[str], None],
) -> CachedEncoder:
    """A CachedEncoder over `port` for the encoder described by `info`. Raises MissingExtra, and ValueError for a URL
    that is none; a store that does not answer is no error."""
    cache = open_cache(options.backend, info.dim, path=options.path, max_bytes=options.max_bytes, url=options.url)
    guarded = GuardedCache(cache, GuardLimits(get_timeout_s=LOOKUP_TIMEOUT_S[options.backend]), on_error=on_error)
    return CachedEncoder(
        port, guarded, info.contract.fingerprint, on_lookup=on_lookup, on_dropped=lambda: on_error("drop")
    )
