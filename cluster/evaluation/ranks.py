"""Ranks from vectors, recall from ranks, and what chance alone would reach."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from encoders.base import Vectors

Owners = NDArray[np.int64]
"""For each row the photo that it belongs to."""
BLOCK = 1024
CUTOFFS = (1, 5, 10)
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Ranks:
    """For each query: `rank` of its first right document, from 1, and `margin`, the cosine by which its best right
    document beats the best wrong one (negative when it does not)."""

    rank: NDArray[np.int64]
    margin: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RankMetrics:
    """Recall at 1, 5, 10 as fractions, and the median rank."""

    r1: float
    r5: float
    r10: float
    median_rank: float


def rank_queries(queries: Vectors, query_owner: Owners, documents: Vectors, document_owner: Owners) -> Ranks:
    """Exact ranks by cosine, `(n, dim)` against `(m, dim)`, in blocks of queries. Every query has a right document.

    The rank is 1 plus the number of wrong documents that score at least as high as the best right one: ties count
    against the encoder, so that one which gives every input the same vector finds nothing.
    """
    ranks = np.empty(len(queries), dtype=np.int64)
    margins = np.empty(len(queries), dtype=np.float32)
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = queries[rows] @ documents.T
        right = query_owner[rows, None] == document_owner[None, :]
        best_right = np.where(right, scores, -np.inf).max(axis=1)
        wrong = np.where(right, -np.inf, scores)
        ranks[rows] = 1 + (wrong >= best_right[:, None]).sum(axis=1)
        margins[rows] = best_right - wrong.max(axis=1, initial=-1.0)
    return Ranks(ranks, margins)


def summarise(ranks: Ranks) -> RankMetrics:
    """Recall and median over the queries."""
    r1, r5, r10 = (float(np.mean(ranks.rank <= k)) for k in CUTOFFS)
    return RankMetrics(r1, r5, r10, float(np.median(ranks.rank)))


def chance(query_owner: Owners, document_owner: Owners) -> RankMetrics:
    """What a random order of the documents is expected to reach: exact, by counting, not by sampling."""
    documents = len(document_owner)
    documents_of = Counter(document_owner.tolist())
    queries_with = Counter(documents_of[owner] for owner in query_owner.tolist())
    total = len(query_owner)

    def expected(k: int) -> float:
        return sum(n * _hit_probability(documents, right, k) for right, n in queries_with.items()) / total

    low, high = 1, documents
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if expected(middle) >= 0.5 - ROUNDING else (middle + 1, high)
    r1, r5, r10 = (expected(k) for k in CUTOFFS)
    return RankMetrics(r1, r5, r10, float(low))


def _hit_probability(documents: int, right: int, k: int) -> float:
    """That one of `right` documents is among the first `k` of a random order: 1 − C(N − k, m) / C(N, m)."""
    return 1.0 - math.prod(max(documents - k - i, 0) / (documents - i) for i in range(right))
