"""FAISS's search of one query in one call.

FAISS's own Python wrapper makes five calls into C++ for a search, three of them for addresses of arrays, and Python's
lock is given up at each: where many threads search, another one goes first each time, and they spend their time in
taking turns. Here the arrays are kept, one set a thread, and so are their addresses.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.library import load_faiss


class OneQuery(threading.local):
    """For any number of threads. `index` is FAISS's, which the caller must not change meanwhile."""

    def __init__(self, index: Any) -> None:
        self._faiss = load_faiss()
        self._search = index.search_c
        self._query = np.empty(int(index.d), dtype=np.float32)
        self._query_at = self._faiss.swig_ptr(self._query)
        self._wanted = 0

    def __call__(self, query: Vector, wanted: int, parameters: Any) -> tuple[Vector, NDArray[np.int64]]:
        """Scores and labels `(wanted,)`, best first, filled up with -1."""
        if wanted != self._wanted:
            self._make_room(wanted)
        self._query[:] = query
        self._search(1, self._query_at, wanted, self._scores_at, self._labels_at, parameters)
        return self._scores.copy(), self._labels.copy()

    def _make_room(self, wanted: int) -> None:
        self._wanted = wanted
        self._scores, self._labels = np.empty(wanted, dtype=np.float32), np.empty(wanted, dtype=np.int64)
        self._scores_at, self._labels_at = self._faiss.swig_ptr(self._scores), self._faiss.swig_ptr(self._labels)
