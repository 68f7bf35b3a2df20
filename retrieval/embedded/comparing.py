"""Exact comparison of a query with rows of the matrix, by FAISS."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.library import load_faiss
from retrieval.embedded.proposer import TIES
from retrieval.ranking import MARGIN, candidates


def nearest(matrix: Vector, vector: Vector, top_k: int) -> NDArray[np.int64]:
    """Positions of the best rows of all, ties at the edge included. One pass that keeps a heap and not every score."""
    faiss = load_faiss()
    wanted = min(top_k + TIES, len(matrix))
    if wanted == 0:
        return np.empty(0, dtype=np.int64)
    (scores,), (slots,) = faiss.knn(vector[None], matrix, wanted, metric=faiss.METRIC_INNER_PRODUCT)
    if wanted < len(matrix) and scores[-1] >= scores[top_k - 1] - MARGIN:  # more ties than there was room for
        return candidates(matrix @ vector, top_k)
    return np.asarray(slots, dtype=np.int64)


FEW = 128
"""Rows that are copied together in less time than FAISS's calls take, at each of which other threads go first."""


def pick(matrix: Vector, vector: Vector, slots: NDArray[np.int64]) -> Vector:
    """Inner products with some rows; many are not copied together first."""
    if len(slots) <= FEW:
        return np.asarray(matrix[slots] @ vector)
    faiss = load_faiss()
    scores = np.empty(len(slots), dtype=np.float32)
    first = np.zeros(len(slots), dtype=np.int64)
    pointers = [faiss.swig_ptr(array) for array in (vector, first, matrix, slots, scores)]
    faiss.pairwise_indexed_inner_product(len(vector), len(slots), *pointers)
    return scores
