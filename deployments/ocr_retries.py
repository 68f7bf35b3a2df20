"""Pages that could not be read: how often each failed, and when each is tried again: later each time, then never."""

from __future__ import annotations

import heapq
import math
import time
from dataclasses import dataclass
from typing import TypeAlias

PageKey: TypeAlias = tuple[str, str]
"""An item's id and the address of its image: another image is another page."""

GROWTH = 4


@dataclass(slots=True)
class _Failure:
    times: int
    due: float
    """On the monotonic clock; infinite once given up."""


class OcrRetries:
    """Forgets everything with its process: after a restart each page is tried anew."""

    def __init__(self, attempts: int, first_pause_s: float) -> None:
        """`attempts` in all; the pause before the second is `first_pause_s`, and each further one `GROWTH` times it."""
        self._attempts = attempts
        self._first_pause_s = first_pause_s
        self._failures: dict[PageKey, _Failure] = {}
        self._next: list[tuple[float, PageKey]] = []
        """A heap of when pages are due; one whose failure says otherwise by now is of no account."""

    def failed(self, page: PageKey) -> float | None:
        """Notes a failure. Seconds until the page is tried again, None where that was the last attempt."""
        failure = self._failures.setdefault(page, _Failure(0, 0.0))
        failure.times += 1
        if failure.times >= self._attempts:
            failure.due = math.inf
            return None
        pause_s = self._first_pause_s * float(GROWTH ** (failure.times - 1))
        failure.due = time.monotonic() + pause_s
        heapq.heappush(self._next, (failure.due, page))
        return pause_s

    def forget(self, page: PageKey) -> None:
        """It was read, or is gone."""
        self._failures.pop(page, None)

    def pages(self) -> list[PageKey]:
        """All that failed and were not forgotten."""
        return list(self._failures)

    def waiting(self) -> int:
        """How many of them are not to be tried now: they are due later, or were given up."""
        now = time.monotonic()
        return sum(failure.due > now for failure in self._failures.values())

    def may_try(self, page: PageKey) -> bool:
        """Whether the page never failed, or is due."""
        failure = self._failures.get(page)
        return failure is None or failure.due <= time.monotonic()

    def next_due(self) -> float:
        """When the next page is due, on the monotonic clock; infinite where none is waited for."""
        while self._next and not self._counts(*self._next[0]):
            heapq.heappop(self._next)
        return self._next[0][0] if self._next else math.inf

    def take_due(self) -> list[str]:
        """The ids of the pages that are due, each once: whoever takes it may find the item gone, and not try."""
        ids = []
        while self.next_due() <= time.monotonic():
            ids.append(heapq.heappop(self._next)[1][0])
        return ids

    def _counts(self, due: float, page: PageKey) -> bool:
        failure = self._failures.get(page)
        return failure is not None and failure.due == due
