"""Where a request's time goes: consecutive laps that sum to the total by construction.

A lap that covered a call to another process can be split into what that process measured and the rest, which is what
the call itself cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class Stages:
    """A stopwatch of named laps, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._start = self._last = clock()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Ends the current lap; a name that comes again adds up."""
        self.split({}, rest=name)

    def split(self, parts: Mapping[str, float], rest: str) -> None:
        """Ends the current lap, giving each part its measured seconds and the remainder to `rest`.

        Parts that sum to more than the lap (clocks of two processes differ) are scaled down to it.
        """
        now = self._clock()
        elapsed, self._last = now - self._last, now
        measured = sum(parts.values())
        scale = min(1.0, elapsed / measured) if measured > 0 else 1.0
        for name, seconds in parts.items():
            self._laps[name] = self._laps.get(name, 0.0) + seconds * scale
        self._laps[rest] = self._laps.get(rest, 0.0) + max(elapsed - measured * scale, 0.0)

    @property
    def total_s(self) -> float:
        """Seconds from the start to the end of the last lap."""
        return self._last - self._start

    def laps_s(self) -> dict[str, float]:
        return dict(self._laps)

    def milliseconds(self) -> dict[str, float]:
        """Every lap and the `total`, in milliseconds."""
        return {name: round(s * 1000, 3) for name, s in self._laps.items()} | {"total": round(self.total_s * 1000, 3)}

    def server_timing(self) -> str:
        """The `Server-Timing` header's value (W3C Server Timing): `name;dur=milliseconds, …`."""
        return ", ".join(f"{name};dur={ms}" for name, ms in self.milliseconds().items())
