"""How hard an approximate structure must search to find what it should: measured on probes, when it is built."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.proposer import Proposer
from retrieval.ranking import MARGIN

PROBES = 192
TUNED_FOR = (10, 100, 1000)
"""Numbers of hits for which the effort is measured: the 1000 nearest take much more of it than the 10."""
FEWER_PROBES = 4
"""A probe's 100 neighbours tell more than 10: beyond the first of `TUNED_FOR`, one of so many probes is enough."""
STEP = 1.25


class Probes:
    """Queries to tune by, and their exact nearest rows, best first, gathered chunk by chunk.

    Half of them are rows, half are midpoints of two rows: like a text's vector among images, a midpoint lies far from
    every row, and its neighbours are scattered.
    """

    def __init__(self, sample: Vector, k: int = max(TUNED_FOR) + 1, seed: int = 0) -> None:
        pairs = np.random.default_rng(seed).integers(0, len(sample), size=(PROBES, 2))
        pairs[: PROBES // 2, 1] = pairs[: PROBES // 2, 0]
        vectors = sample[pairs[:, 0]] + sample[pairs[:, 1]]
        self.vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self._nearest = np.full((PROBES, k), -1, dtype=np.int64)
        self._scores = np.full((PROBES, k), -np.inf, dtype=np.float32)

    def see(self, chunk: Vector, labels: NDArray[np.int64]) -> None:
        """Takes rows and their labels into account."""
        scores = np.hstack([self._scores, self.vectors @ chunk.T])
        labels = np.hstack([self._nearest, np.broadcast_to(labels, (PROBES, len(chunk)))])
        k = self._nearest.shape[1]
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._nearest = np.take_along_axis(labels, best, axis=1)

    def nearest(self, k: int, besides: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The labels of each probe's `k` nearest rows, best first, without `besides`.

        Fewer where the k-th is as near as the next: of rows that are alike, any may be found.
        """
        last, after = self._scores[:, k - 1, None], self._scores[:, k, None]
        clear = (self._nearest >= 0) & ~np.isin(self._nearest, besides)
        clear &= (self._scores > last + MARGIN) | (last > after + MARGIN)
        return [labels[:k][keep[:k]] for labels, keep in zip(self._nearest, clear, strict=True)]


def tune(proposer: Proposer, probes: Probes, target_recall: float, unreachable: NDArray[np.int64]) -> None:
    """Sets for each k of `TUNED_FOR` the least effort that finds `target_recall` of the k nearest rows of the probes.

    The most for a target of 1: that what is found for the probes is whole says nothing of other queries. Rows that
    are `unreachable` are compared exactly and do not count.
    """
    efforts = [1 if target_recall < 1 else proposer.most_effort]
    for k in TUNED_FOR:
        step = 1 if k == TUNED_FOR[0] else FEWER_PROBES
        exact = probes.nearest(k, unreachable)[::step]
        least = max(efforts[-1], proposer.least_effort(k))
        efforts.append(_least_effort(proposer, probes.vectors[::step], exact, k, target_recall, least))
    proposer.efforts = np.array(efforts[1:], dtype=np.int64)


def _least_effort(
    proposer: Proposer, probes: Vector, exact: list[NDArray[np.int64]], top_k: int, target_recall: float, effort: int
) -> int:
    """From `effort` upward."""
    while effort < proposer.most_effort:
        found = proposer.find(probes, top_k, effort)
        recalls = [np.isin(a, b).mean() if len(a) else 1.0 for a, b in zip(exact, found, strict=True)]
        # Each kind of probe must reach it: the easy half does not make up for the hard one.
        half = len(probes) // 2
        if min(np.mean(recalls[:half]), np.mean(recalls[half:])) >= target_recall:
            break
        effort = math.ceil(effort * STEP)
    return min(effort, proposer.most_effort)


def effort_for(top_k: int, efforts: NDArray[np.int64]) -> int:
    """The effort for `top_k` hits: between two numbers that were measured, along the power law."""
    if top_k <= TUNED_FOR[0]:
        return int(efforts[0])
    exponent = np.interp(np.log(top_k), np.log(TUNED_FOR), np.log(efforts))
    return math.ceil(math.exp(float(exponent)) - 1e-6)
