"""A cache that cannot do harm: whatever its store does, a lookup is a vector or a miss, and soon.

A circuit breaker (Nygard, *Release It!*, 2007): after some failures in a row the store is left alone for a while, then
one call tries it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from encoders.base import Vectors
from encoders.cache.base import EmbeddingCache

log = logging.getLogger(__name__)

Operation: TypeAlias = Literal["get", "put", "skip"]
"""What failed; `skip` is a lookup or a write that was not tried because the store is being left alone."""


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How long the store may take, and how much it may fail."""

    get_timeout_s: float = 0.05
    put_timeout_s: float = 5.0
    """Longer, because nobody waits for a write."""
    failures: int = 3
    """Failures in a row after which the store is left alone."""
    pause_s: float = 2.0
    """For how long."""


class GuardedCache:
    """An EmbeddingCache over another, which never raises and never keeps its caller longer than its timeout."""

    def __init__(
        self,
        cache: EmbeddingCache,
        limits: GuardLimits | None = None,
        *,
        on_error: Callable[[Operation], None] = lambda operation: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cache = cache
        self._limits = limits or GuardLimits()
        self._on_error = on_error
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        """All misses when the store fails, is late, or is being left alone."""
        if self._may_try():
            try:
                async with asyncio.timeout(self._limits.get_timeout_s):
                    found = await self._cache.get_many(keys)
                self._succeeded()
                return found
            except Exception as error:
                self._failed("get", error)
        return [None] * len(keys)

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        """Nothing is stored when the store fails, is late, or is being left alone."""
        if self._may_try():
            try:
                async with asyncio.timeout(self._limits.put_timeout_s):
                    await self._cache.put_many(entries)
                self._succeeded()
            except Exception as error:
                self._failed("put", error)

    async def close(self) -> None:
        try:
            await self._cache.close()
        except Exception as error:
            log.warning("the embedding cache did not close: %s", _name(error))

    def _may_try(self) -> bool:
        """Whether to ask the store. After a pause one call may, and the others wait for what becomes of it."""
        if self._failures < self._limits.failures:
            return True
        now = self._clock()
        if now < self._closed_until:
            self._on_error("skip")
            return False
        self._closed_until = now + self._limits.pause_s
        return True

    def _succeeded(self) -> None:
        if self._failures >= self._limits.failures:
            log.warning("the embedding cache answers again")
        self._failures = 0

    def _failed(self, operation: Operation, error: Exception) -> None:
        self._on_error(operation)
        self._failures += 1
        if self._failures == self._limits.failures:
            log.warning("the embedding cache fails (%s): going on without it, trying again later", _name(error))
        self._closed_until = self._clock() + self._limits.pause_s


def _name(error: Exception) -> str:
    """The kind of error only: a store's message may hold its address and password."""
    return type(error).__name__
