"""What a read waits for.

Milvus applies writes in its own time, by a clock that ticks every 200 ms. A read carries a guarantee, a timestamp that
the collection must have reached: `bounded` searches ask for none of the last seconds and never wait; `session` ones
for everything that was written through this object, and wait at most a tick, when something was written just before;
`strong` ones for everything that anyone wrote, and wait about a tick each. Measured (loadtests/bench_consistency):
`bounded` takes 6 ms and misses a row written just before, `session` 6 ms at rest and 194 ms right after a write,
`strong` 200 ms always. Reads by id, counts and walks are never `bounded`, for what changes an item reads it first.

The timestamps are asked for after each write, and not taken from its answer: Milvus 2.3 answers 0 to a delete.
"""

from __future__ import annotations

import threading
from typing import Any, Literal, TypeAlias

Consistency: TypeAlias = Literal["bounded", "session", "strong"]
_NOTHING_WRITTEN = 1
"""Milvus's own: any state of the collection will do."""


class Guarantees:
    """The arguments of pymilvus's calls that say what a read waits for. Lite has one process and needs none."""

    def __init__(self, client: Any, level: Consistency, *, is_lite: bool) -> None:
        self._client = client
        self._level = level
        self._is_lite = is_lite
        self._lock = threading.Lock()
        self._written = _NOTHING_WRITTEN

    def wrote(self, timeout_s: float) -> None:
        """After a write that the server acknowledged: later reads wait for what anyone wrote until now. Blocks."""
        if self._is_lite:
            return
        written = int(self._client._get_connection().alloc_timestamp(timeout=timeout_s))
        if not written:  # a service that does not say: the one way left
            self._level = "strong"
        with self._lock:
            self._written = max(self._written, written)

    def of_search(self) -> dict[str, Any]:
        if not self._is_lite and self._level == "bounded":
            return {"consistency_level": "Bounded"}
        return self.of_read()

    def of_read(self) -> dict[str, Any]:
        if self._is_lite:
            return {}
        if self._level == "strong":
            return {"consistency_level": "Strong"}
        return {"consistency_level": "Customized", "guarantee_timestamp": self._written}
