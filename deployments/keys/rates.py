"""How often a key may call: a token bucket a key (RFC 2697's, in its simplest form), in this replica's memory.

A call takes a token, and one with many inputs as many as it has inputs. It is let in while there is a token, and what
it takes beyond that is owed: what a call costs is not known before its body is read. So each ingress replica counts by
itself: a key may call as many times oftener as there are replicas.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from deployments.errors import RateLimited
from deployments.keys.api_key import ApiKey


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_s` tokens come in a second, None for no limit; at the most `burst` are saved up."""

    per_s: float | None = None
    burst: float = 60.0


UNLIMITED = Rate()


class RateLimits:
    """The buckets of all keys that called. There are no more of them than keys."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        """`rate` is that of keys which have none of their own."""
        self._rate = rate
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: ApiKey) -> RateLimited | None:
        """Takes the token of a call; or says when there will be one."""
        if (per_s := self._per_s(key)) is None:
            return None
        tokens = self._tokens(key, per_s)
        if tokens < 1:
            wait_s = (1 - tokens) / per_s
            return RateLimited(f"this key may make {per_s:g} calls a second here: wait {wait_s:.2g} s", wait_s)
        self._buckets[key.id] = (tokens - 1, self._clock())
        return None

    def charge(self, key: ApiKey, inputs: int) -> None:
        """What a call cost beyond its token."""
        if inputs > 1 and (per_s := self._per_s(key)) is not None:
            self._buckets[key.id] = (self._tokens(key, per_s) - (inputs - 1), self._clock())

    def _per_s(self, key: ApiKey) -> float | None:
        return self._rate.per_s if key.rate_per_s is None else key.rate_per_s

    def _tokens(self, key: ApiKey, per_s: float) -> float:
        now = self._clock()
        burst = max(self._rate.burst, 1.0)
        tokens, at = self._buckets.get(key.id, (burst, now))
        return min(burst, tokens + (now - at) * per_s)
