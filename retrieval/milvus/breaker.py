"""A circuit breaker: a server that fails again and again is left alone for a while, then one call tries it.

Closed, calls pass. After some failures in a row it opens, and calls are refused at once. When the pause is over one
call passes, the probe (half-open): if it succeeds the breaker closes, if it fails the next pause begins. Source:
Nygard, *Release It!*, 2007.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

FAILURES = 5
"""In a row."""
State: TypeAlias = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """Counts what calls say of themselves. Threads may share one."""

    def __init__(
        self, failures: int = FAILURES, pause_s: float = 2.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at = 0.0
        self._probe_since: float | None = None

    @property
    def state(self) -> State:
        with self._lock:
            if self._failures < self._limit:
                return "closed"
            return "half-open" if self._probe_since is not None or self._left_s() <= 0 else "open"

    def admit(self) -> float | None:
        """None where the caller may go on, and then has to say how it went; else the seconds until one may."""
        with self._lock:
            if self._failures < self._limit:
                return None
            if self._probe_since is not None and self._clock() - self._probe_since < self._pause_s:
                return self._pause_s
            if (left_s := self._left_s()) > 0:
                return left_s
            # A probe that never says how it went is forgotten after a pause: another takes its place.
            self._probe_since = self._clock()
            return None

    def succeeded(self) -> None:
        """The server answered, were it with a refusal."""
        with self._lock:
            self._failures = 0
            self._probe_since = None

    def failed(self) -> bool:
        """The server did not answer. Whether the breaker is open now."""
        with self._lock:
            self._failures += 1
            self._probe_since = None
            if self._failures >= self._limit:
                self._opened_at = self._clock()
            return self._failures >= self._limit

    def _left_s(self) -> float:
        return self._opened_at + self._pause_s - self._clock()
