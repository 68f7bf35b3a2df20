"""How long a thread has spent decoding images, for who times a preparer from outside: it decodes in the midst of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

_thread = threading.local()


def decoding_s() -> float:
    """Seconds that this thread has spent in `counted` so far."""
    spent_s: float = getattr(_thread, "spent_s", 0.0)
    return spent_s


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """What runs inside is decoding."""
    started = time.perf_counter()
    try:
        yield
    finally:
        _thread.spent_s = decoding_s() + time.perf_counter() - started
