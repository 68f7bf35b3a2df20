"""What one ingress process has done of late: requests by operation over the last minute, and cache lookups.

Metrics tell a monitoring system the same and more, of all processes; this is for people who look at one moment.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW_S = 60


@dataclass(slots=True)
class _Tally:
    answered: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Second:
    """What ended within one second of the clock, by operation."""

    at: int
    tallies: defaultdict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))


@dataclass(frozen=True, slots=True)
class Calls:
    """One operation over the window: `answered` includes the `errors`; `mean_s` is over all of them."""

    operation: str
    answered: int
    errors: int
    mean_s: float


class Activity:
    """Counts on the event loop of one process. What is older than WINDOW_S is forgotten, cache lookups are not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._seconds: deque[_Second] = deque()
        self._lookups: Counter[str] = Counter()

    @property
    def window_s(self) -> float:
        """The seconds that `calls` covers: fewer where the process is younger."""
        return max(min(self._clock() - self._started, WINDOW_S), 1.0)

    def answered(self, operation: str, seconds: float) -> None:
        """A request was answered after this time."""
        tally = self._now().tallies[operation]
        tally.answered += 1
        tally.seconds += seconds

    def failed(self, operation: str) -> None:
        """An answer was an error."""
        self._now().tallies[operation].errors += 1

    def looked_up(self, result: str, count: int) -> None:
        """Inputs were looked up in an embedding cache: hit, shared or miss."""
        self._lookups[result] += count

    def calls(self) -> list[Calls]:
        """Operations of the window, the most frequent first."""
        self._forget()
        sums: defaultdict[str, _Tally] = defaultdict(_Tally)
        for second in self._seconds:
            for operation, tally in second.tallies.items():
                total = sums[operation]
                total.answered += tally.answered
                total.errors += tally.errors
                total.seconds += tally.seconds
        found = [
            Calls(operation, total.answered, total.errors, total.seconds / max(total.answered, 1))
            for operation, total in sums.items()
        ]
        return sorted(found, key=lambda calls: (-calls.answered, calls.operation))

    def lookups(self) -> dict[str, int]:
        """Of all embedding caches since the process started; empty where there was none."""
        return dict(self._lookups)

    def _now(self) -> _Second:
        at = int(self._clock())
        if not self._seconds or self._seconds[-1].at != at:
            self._forget()
            self._seconds.append(_Second(at))
        return self._seconds[-1]

    def _forget(self) -> None:
        while self._seconds and self._seconds[0].at <= self._clock() - WINDOW_S:
            self._seconds.popleft()
