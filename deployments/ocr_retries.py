"""Pages that could not be read: how often each failed, and when each is tried again: later each time, then never."""

from __future__ import annotations

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

    def failed(self, page: PageKey) -> float | None:
        """Notes a failure. Seconds until the page is tried again, None where that was the last attempt."""
        failure = self._failures.setdefault(page, _Failure(0, 0.0))
        failure.times += 1
        if failure.times >= self._attempts:
            failure.due = math.inf
            return None
        pause_s = self._first_pause_s * float(GROWTH ** (failure.times - 1))
        failure.due = time.monotonic() + pause_s
        return pause_s

    def succeeded(self, page: PageKey) -> None:
        self._failures.pop(page, None)

    def may_try(self, page: PageKey) -> bool:
        """Whether the page never failed, or is due."""
        failure = self._failures.get(page)
        return failure is None or failure.due <= time.monotonic()

    def next_due(self) -> float:
        """When the next page is due, on the monotonic clock; infinite where none is waited for."""
        return min((failure.due for failure in self._failures.values() if failure.due > 0), default=math.inf)

    def take_due(self) -> list[str]:
        """The ids of the pages that are due, each once: whoever takes it may find the item gone, and not try."""
        now = time.monotonic()
        due = [page for page, failure in self._failures.items() if 0 < failure.due <= now]
        for page in due:
            self._failures[page].due = 0.0
        return [id for id, _ in due]
