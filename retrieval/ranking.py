"""How hits are ordered: best first, ties by id, the same in every index.

Scores that agree to `DECIMALS` are a tie: float32 sums differ in the last bits with the order of summation, which
depends on the machine and on a row's neighbours.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector

DECIMALS = 6
MARGIN = 2.0 * 10.0**-DECIMALS
"""An approximate float32 score this close below the k-th best may still tie with it."""


FEW = 256


def candidates(scores: Vector, top_k: int) -> NDArray[np.int64]:
    """Positions of every score that may be among the best `top_k`, ties at the edge included, in no order."""
    if len(scores) <= top_k:
        return np.arange(len(scores))
    if len(scores) <= FEW:  # numpy's calls would cost more than the work
        few = scores.tolist()
        edge = sorted(few)[-top_k] - MARGIN
        return np.array([position for position, score in enumerate(few) if score >= edge], dtype=np.int64)
    kth = np.partition(scores, len(scores) - top_k)[len(scores) - top_k]
    return np.flatnonzero(scores >= kth - MARGIN)


def exact_scores(rows: Vector, query: Vector) -> list[float]:
    """Cosines of unit rows `(n, dim)` with a unit query, summed in float64, rounded, and kept within -1 and 1."""
    scores: list[float] = np.vecdot(rows, query, dtype=np.float64).round(DECIMALS).tolist()
    if scores and (max(scores) > 1.0 or min(scores) < -1.0):
        return [min(1.0, max(-1.0, score)) for score in scores]
    return scores


def rank(ids: Sequence[str], scores: Sequence[float], top_k: int) -> list[int]:
    """Positions of the best `top_k`, best first, ties by id."""
    if all(map(operator.gt, scores, scores[1:])):
        return list(range(min(top_k, len(scores))))
    return sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))[:top_k]
