"""Every vector in one float32 matrix, packed: row `slot` of `matrix[:count]` is one item's.

Removing an item moves the last row into its slot, so that a scan never meets a hole. `indexed[slot]` says that the
approximate structure knows this very version of the row; the other rows are compared exactly. 100,000 rows of 384
columns take 154 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector

FIRST_CAPACITY = 1024
GROWTH = 1.5


class Rows:
    def __init__(self, dim: int) -> None:
        self.count = 0
        self.ids: list[str] = []
        self.slot_of: dict[str, int] = {}
        self._matrix = np.empty((FIRST_CAPACITY, dim), dtype=np.float32)
        self._seqs = np.empty(FIRST_CAPACITY, dtype=np.int64)
        self._indexed = np.zeros(FIRST_CAPACITY, dtype=bool)
        self.indexed_count = 0

    @property
    def matrix(self) -> Vector:
        """`(count, dim)`, a view."""
        return self._matrix[: self.count]

    @property
    def seqs(self) -> NDArray[np.int64]:
        return self._seqs[: self.count]

    @property
    def indexed(self) -> NDArray[np.bool_]:
        return self._indexed[: self.count]

    @property
    def nbytes(self) -> int:
        return self._matrix.nbytes + self._seqs.nbytes + self._indexed.nbytes

    def put(self, ids: Sequence[str], seqs: Sequence[int] | NDArray[np.int64], vectors: Vector) -> list[int]:
        """Adds items, or replaces those that are there; ids are distinct. Their slots."""
        slots = []
        for id in ids:
            slot = self.slot_of.setdefault(id, len(self.ids))
            if slot == len(self.ids):
                self.ids.append(id)
            slots.append(slot)
        self._reserve(len(self.ids))
        self.indexed_count -= int(self._indexed[slots].sum())
        self._matrix[slots] = vectors
        self._seqs[slots] = seqs
        self._indexed[slots] = False
        self.count = len(self.ids)
        return slots

    def remove(self, id: str, moved: Callable[[int, int], None]) -> None:
        """Takes an item out. `moved(last, slot)` is told to move what else is kept by slot, then to drop `last`."""
        slot = self.slot_of.pop(id)
        last = self.count - 1
        self.indexed_count -= int(self._indexed[slot])
        if slot != last:
            self.indexed_count -= int(self._indexed[last])
            self._matrix[slot] = self._matrix[last]
            self._seqs[slot] = self._seqs[last]
            self.ids[slot] = self.ids[last]
            self.slot_of[self.ids[slot]] = slot
        self._indexed[[slot, last]] = False
        self.ids.pop()
        self.count = last
        moved(last, slot)

    def mark_indexed(self, built: NDArray[np.int64]) -> None:
        """The structure now holds, for each slot, the version `built[slot]`. Rows changed since are not in it."""
        n = min(len(built), self.count)
        self._indexed[:] = False
        self._indexed[:n] = self._seqs[:n] == built[:n]
        self.indexed_count = int(self.indexed.sum())

    def mark_added(
        self, slots: NDArray[np.int64], seqs: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The structure is about to hold these versions. Those of `slots` that still have them, and which they were."""
        kept = slots < self.count
        kept[kept] = self._seqs[slots[kept]] == seqs[kept]
        self._indexed[slots[kept]] = True
        self.indexed_count += int(kept.sum())
        return slots[kept], kept

    def unindexed(self) -> NDArray[np.int64]:
        """Slots that only an exact comparison finds."""
        return np.flatnonzero(~self.indexed) if self.indexed_count < self.count else np.empty(0, dtype=np.int64)

    def _reserve(self, count: int) -> None:
        capacity = len(self._seqs)
        if count <= capacity:
            return
        capacity = max(count, int(capacity * GROWTH))
        for name in ("_matrix", "_seqs", "_indexed"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
