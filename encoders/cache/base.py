"""What an embedding cache promises: little. Any entry may be gone at any time, and none is ever wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from encoders.base import Vectors


@runtime_checkable
class EmbeddingCache(Protocol):
    """Vectors of one vector contract by key. Safe to share among tasks; the store may be shared among processes.

    An entry that is damaged, or has another number of columns, is a miss. Methods raise whatever the store raises:
    `GuardedCache` is what turns that into misses.
    """

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        """The vector `(dim,)` float32 or None for each key, in order. The arrays are read-only."""
        ...

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        """Stores vectors `(dim,)`; may put others out."""
        ...

    async def close(self) -> None:
        """Lets go of the store. Calling it twice is fine."""
        ...
