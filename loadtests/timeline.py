"""How a load test went over time: counts and latencies of each kind of request, one window after another.

Locust keeps counts since the start, on the master of a distributed run those of all workers: a histogram of response
times by rounded milliseconds. The difference of two looks at it is what happened in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one kind of request since the start. `times` are requests by milliseconds."""

    failed: int = 0
    shed: int = 0
    times: Mapping[float, int] = field(default_factory=dict)

    def since(self, before: Counts) -> Counts:
        times = Counter(self.times)
        times.subtract(before.times)
        return Counts(self.failed - before.failed, self.shed - before.shed, +times)

    @property
    def answered(self) -> int:
        return sum(self.times.values())

    def percentile_ms(self, q: float) -> float | None:
        """The least number of milliseconds within which `q` of 100 were answered; None of nothing."""
        wanted, seen = self.answered * q / 100, 0
        for ms in sorted(self.times):
            seen += self.times[ms]
            if seen >= wanted:
                return ms
        return None


class Timeline:
    """Windows, each from the look before to this one."""

    def __init__(self) -> None:
        self._before: dict[str, Counts] = {}
        self._before_s = 0.0
        self.windows: list[dict[str, Any]] = []

    def look(self, at_s: float, users: int, counts: Mapping[str, Counts]) -> None:
        """`counts` of each kind of request since the start, as of `at_s` seconds."""
        lasted_s = at_s - self._before_s
        if lasted_s <= 0:
            return
        rows = {}
        for name, now in counts.items():
            new = now.since(self._before.get(name, Counts()))
            rows[name] = {
                "per_s": round(new.answered / lasted_s, 2),
                "failed": new.failed,
                "shed": new.shed,
                "p50_ms": new.percentile_ms(50),
                "p99_ms": new.percentile_ms(99),
            }
        self.windows.append({"until_s": round(at_s, 1), "users": users, "requests": rows})
        self._before, self._before_s = dict(counts), at_s
