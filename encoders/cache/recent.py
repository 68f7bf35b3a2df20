"""The vectors used last, in this process: a repeated query is answered without leaving the event loop."""

from __future__ import annotations

from collections import OrderedDict

from encoders.base import Vectors

ENTRY_BYTES = 250
"""What an entry takes beside its columns: the key, the array's header, and the two links of the table. Measured."""


class RecentVectors:
    """A least-recently-used table of read-only vectors, bounded in bytes. For one thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, Vectors] = OrderedDict()

    def get(self, key: bytes) -> Vectors | None:
        vector = self._entries.get(key)
        if vector is not None:
            self._entries.move_to_end(key)
        return vector

    def put(self, key: bytes, vector: Vectors) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self._bytes -= old.nbytes + ENTRY_BYTES
        self._entries[key] = vector
        self._bytes += vector.nbytes + ENTRY_BYTES
        while self._bytes > self._max_bytes:
            _, gone = self._entries.popitem(last=False)
            self._bytes -= gone.nbytes + ENTRY_BYTES

    def __len__(self) -> int:
        return len(self._entries)
