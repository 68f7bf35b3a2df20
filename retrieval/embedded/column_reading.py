"""Reading a filter column from SQLite while others search and write.

What is stored under a seq never changes, and a later write has a higher one: so pages are read in the order of seq, and
when writes are held back for a moment at the end, only the few rows written meanwhile are left to read.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.embedded.columns import Column
from retrieval.embedded.store import Store
from retrieval.filters import METADATA, TEXTS, fold

PAGE_ROWS = 256
PAUSE_S = 2e-4
"""After each page: a thread that only computes keeps Python's lock for 5 ms each time that another one wants it."""


class ColumnReading:
    """One field of the rows read so far."""

    def __init__(self, store: Store, field: str) -> None:
        self._store = store
        self._field = field
        self._column = Column(PAGE_ROWS)
        self._seqs: list[int] = []

    def advance(self) -> None:
        """Reads to the last row that is there."""
        name = "metadata" if self._field.startswith(METADATA) else self._field
        while True:
            page = self._store.column(name, self._seqs[-1] if self._seqs else 0, PAGE_ROWS)
            for slot, (_, stored) in enumerate(page, start=len(self._seqs)):
                self._column.set(slot, self._value(stored))
            self._seqs.extend(seq for seq, _ in page)
            if len(page) < PAGE_ROWS:
                return
            time.sleep(PAUSE_S)

    def _value(self, stored: Any) -> Any:
        if self._field.startswith(METADATA):
            return json.loads(stored).get(self._field[len(METADATA) :])
        if self._field == "tags":
            return tuple(json.loads(stored))
        return fold(stored) if self._field in TEXTS and stored is not None else stored

    def column(self, seqs: NDArray[np.int64]) -> Column:
        """The field of the rows `seqs`, in that order; all of them have been read. Ends the reading."""
        self._column.arrange(np.searchsorted(np.array(self._seqs, dtype=np.int64), seqs))
        return self._column
