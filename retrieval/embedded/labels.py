"""Which rows the approximate structure holds, and under which label.

A row is known (it has a label), waiting (to be added), or stranded: it was added, and no search can find it there.
Rows that are not known are compared exactly. Labels are never given twice; one whose row was replaced or deleted is of
no row any more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Slots = NDArray[np.int64]
NOWHERE = -1
WAITING = -1
STRANDED = -2


class Labels:
    """Both ways: the label of a slot, and the slot of a label."""

    def __init__(self, capacity: int) -> None:
        self._of = np.full(capacity, WAITING, dtype=np.int64)
        self._slot_of = np.empty(0, dtype=np.int64)
        self.given = 0
        self.known = 0
        self.stranded = 0
        self._unknown: Slots | None = None
        self._in_place: NDArray[np.bool_] | None = None

    @property
    def nbytes(self) -> int:
        return self._of.nbytes + self._slot_of.nbytes

    @property
    def gone(self) -> int:
        """Labels that are of no row."""
        return self.given - self.known

    @property
    def replaced(self) -> int:
        """Labels that are of no row, and that a search may find."""
        return self.gone - self.stranded

    @property
    def slot_of(self) -> Slots:
        """`(given,)`: where the row of each label is, NOWHERE where there is none."""
        return self._slot_of[: self.given]

    def of_slots(self, count: int) -> Slots:
        """`(count,)`: each row's label, or WAITING or STRANDED."""
        return self._of[:count]

    def reserve(self, capacity: int) -> None:
        self._of = np.concatenate([self._of, np.full(capacity - len(self._of), WAITING, dtype=np.int64)])

    def _changed(self) -> None:
        self._unknown = None
        self._in_place = None

    def forget(self, slots: Slots | list[int]) -> None:
        """What stands in `slots` is new, or nothing any more."""
        self._changed()
        labels = self._of[slots]
        known = labels >= 0
        self._slot_of[labels[known]] = NOWHERE
        self.known -= int(known.sum())
        self.stranded -= int((labels == STRANDED).sum())
        self._of[slots] = WAITING

    def move(self, last: int, slot: int) -> None:
        """What stood in `last` now stands in `slot`, whose row was forgotten."""
        self._changed()
        label = self._of[slot] = self._of[last]
        if label >= 0:
            self._slot_of[label] = slot
        self._of[last] = WAITING

    def reset(self, labels: Slots, given: int) -> None:
        """Another structure, or none: `labels` of the first slots, all other rows wait."""
        self._changed()
        known = np.flatnonzero(labels >= 0)
        self._of[:] = WAITING
        self._of[: len(labels)] = labels
        self._slot_of = np.full(given, NOWHERE, dtype=np.int64)
        self._slot_of[labels[known]] = known
        self.given = given
        self.known = len(known)
        self.stranded = int((labels == STRANDED).sum())

    def give(self, count: int) -> Slots:
        """The next labels, of no row yet."""
        self._changed()
        labels = self.given + np.arange(count)
        if len(self._slot_of) < self.given + count:
            grown = np.full(max(self.given + count, int(1.5 * self.given)), NOWHERE, dtype=np.int64)
            grown[: self.given] = self.slot_of
            self._slot_of = grown
        self._slot_of[labels] = NOWHERE
        self.given += count
        return labels

    def assign(self, labels: Slots, slots: Slots) -> None:
        """`labels`, of no row yet, are of the rows that wait in `slots`."""
        self._changed()
        self._slot_of[labels] = slots
        self._of[slots] = labels
        self.known += len(slots)

    def strand(self, labels: Slots) -> None:
        """No search finds these."""
        self._changed()
        slots = self._slot_of[labels]
        slots = slots[slots >= 0]
        self._slot_of[labels] = NOWHERE
        self._of[slots] = STRANDED
        self.known -= len(slots)
        self.stranded += len(slots)

    def in_place(self) -> NDArray[np.bool_]:
        """`(given,)` booleans: the labels that are of a row."""
        if (in_place := self._in_place) is None:
            in_place = self._in_place = self.slot_of >= 0
        return in_place

    def unknown(self, count: int) -> Slots:
        """Slots of the `count` rows that only an exact comparison finds."""
        if (unknown := self._unknown) is None:  # two threads may find the same: nothing changes meanwhile
            unknown = self._unknown = np.flatnonzero(self._of[:count] < 0)
        return unknown

    def waiting(self, count: int) -> Slots:
        return np.flatnonzero(self._of[:count] == WAITING)
