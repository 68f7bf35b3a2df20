"""How long a caller still waits, from the request's header to the last process that works for it.

What is sent is the time that is left and not a moment, as gRPC does it: no two clocks have to agree. A header says it
in milliseconds; between processes of ours a Deadline becomes the time that is left when it is pickled.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from deployments.errors import BadRequest, DeadlineExceeded

HEADER = "X-Request-Timeout-Ms"
T = TypeVar("T")


class Deadline:
    """A moment of this process's monotonic clock."""

    __slots__ = ("_at",)

    def __init__(self, left_s: float) -> None:
        self._at = time.monotonic() + left_s

    def __reduce__(self) -> tuple[type[Deadline], tuple[float]]:
        return Deadline, (self.left_s(),)

    def left_s(self) -> float:
        """Negative once it has passed."""
        return self._at - time.monotonic()

    def is_over(self) -> bool:
        return self.left_s() <= 0


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current_deadline() -> Deadline | None:
    """Of the request that is being worked on; None for work that nobody waits for."""
    return _current.get()


@contextmanager
def until(deadline: Deadline | None) -> Iterator[None]:
    """Makes it the current one, in this task and those that it starts meanwhile."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def start_unhurried(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that goes on after the request which starts it, and has no deadline."""
    context = contextvars.copy_context()
    context.run(_current.set, None)
    return asyncio.get_running_loop().create_task(work, context=context)


def latest(deadlines: Iterable[Deadline | None]) -> Deadline | None:
    """When the last one stops waiting; None where one of them never does."""
    last: Deadline | None = None
    for deadline in deadlines:
        if deadline is None:
            return None
        if last is None or deadline._at > last._at:
            last = deadline
    return last


def too_late(where: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"the time ran out before {where}")


def seconds_of(header: str | None) -> float | None:
    """What the header says; None without one. Raises BadRequest."""
    if header is None:
        return None
    text = header.strip()
    if not (text.isascii() and text.isdecimal() and 0 < len(text) <= 9):
        raise BadRequest(f"{HEADER} is a whole number of milliseconds, not {text[:20]!r}", HEADER)
    return int(text) / 1000
