"""Every vector in one float32 matrix, packed: row `slot` of `matrix[:count]` is one item's.

Removing an item moves the last row into its slot, so that a scan never meets a hole. `labels` says which rows the
approximate structure knows in this very version; the others are compared exactly. 100,000 rows of 384 columns take
154 MB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.labels import Labels

FIRST_CAPACITY = 1024
GROWTH = 1.5


class Rows:
    def __init__(self, dim: int) -> None:
        self.count = 0
        self.ids: list[str] = []
        self.slot_of: dict[str, int] = {}
        self._matrix = np.empty((FIRST_CAPACITY, dim), dtype=np.float32)
        self._seqs = np.empty(FIRST_CAPACITY, dtype=np.int64)
        self.labels = Labels(FIRST_CAPACITY)

    @property
    def matrix(self) -> Vector:
        """`(count, dim)`, a view."""
        return self._matrix[: self.count]

    @property
    def seqs(self) -> NDArray[np.int64]:
        return self._seqs[: self.count]

    @property
    def nbytes(self) -> int:
        return self._matrix.nbytes + self._seqs.nbytes + self.labels.nbytes

    def put(self, ids: Sequence[str], seqs: Sequence[int] | NDArray[np.int64], vectors: Vector) -> list[int]:
        """Adds items, or replaces those that are there; ids are distinct. Their slots."""
        slots = []
        for id in ids:
            slot = self.slot_of.setdefault(id, len(self.ids))
            if slot == len(self.ids):
                self.ids.append(id)
            slots.append(slot)
        self._reserve(len(self.ids))
        self.labels.forget(slots)
        self._matrix[slots] = vectors
        self._seqs[slots] = seqs
        self.count = len(self.ids)
        return slots

    def remove(self, id: str, moved: Callable[[int, int], None]) -> None:
        """Takes an item out. `moved(last, slot)` is told to move what else is kept by slot, then to drop `last`."""
        slot = self.slot_of.pop(id)
        last = self.count - 1
        self.labels.forget([slot])
        if slot != last:
            self.labels.move(last, slot)
            self._matrix[slot] = self._matrix[last]
            self._seqs[slot] = self._seqs[last]
            self.ids[slot] = self.ids[last]
            self.slot_of[self.ids[slot]] = slot
        self.ids.pop()
        self.count = last
        moved(last, slot)

    def unchanged(self, slots: NDArray[np.int64], seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`(n,)` booleans: in which of `slots` the row still is of the version that it had."""
        kept = slots < self.count
        kept[kept] = self._seqs[slots[kept]] == seqs[kept]
        return kept

    def _reserve(self, count: int) -> None:
        capacity = len(self._seqs)
        if count <= capacity:
            return
        capacity = max(count, int(capacity * GROWTH))
        self.labels.reserve(capacity)
        for name in ("_matrix", "_seqs"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), dtype=old.dtype)
            new[: self.count] = old[: self.count]
            setattr(self, name, new)
