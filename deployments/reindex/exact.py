"""Exact search by reading every row, slowly enough not to be in the way, and recall measured against it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deployments.ports import IndexPort
from retrieval import Query, Vector

NEAREST = 10
PAGE = 500
TIE = 1e-5
"""Scores closer than this are one: indexes round, and sum in other orders."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A query. Where it is the vector of a stored item, that item does not count: any index finds it."""

    vector: Vector
    is_stored: bool = True


@dataclass(frozen=True, slots=True)
class Recall:
    """`value` is the share of the NEAREST that the index finds, over all probes; None without rows or probes."""

    value: float | None
    rows: int


async def measure_recall(index: IndexPort, probes: Sequence[Probe], *, rows_per_s: float | None = None) -> Recall:
    """What the index finds of what is really nearest.

    A hit counts when its score reaches that of the last of the NEAREST, so equal scores in another order are no loss.
    Rows that come or go meanwhile blur it. Raises what the port raises.
    """
    if not probes:
        return Recall(None, 0)
    best, rows = await _best_scores(index, probes, rows_per_s)
    found: list[float] = []
    for probe, scores in zip(probes, best, strict=True):
        nearest = _without_itself(probe, scores[np.isfinite(scores)].tolist())
        if not nearest:
            continue
        hits = await index.search(Query(probe.vector, NEAREST + 1))
        reaching = sum(score >= nearest[-1] - TIE for score in _without_itself(probe, [hit.score for hit in hits]))
        found.append(min(reaching, len(nearest)) / len(nearest))
    return Recall(float(np.mean(found)) if found else None, rows)


def _without_itself(probe: Probe, scores: list[float]) -> list[float]:
    """The NEAREST of `scores`, which are best first. Where several items are equal to the probe, any is itself."""
    first = 1 if probe.is_stored and scores and scores[0] >= 1 - TIE else 0
    return scores[first : first + NEAREST]


async def _best_scores(index: IndexPort, probes: Sequence[Probe], rows_per_s: float | None) -> tuple[Vector, int]:
    """`(probes, NEAREST + 1)`, minus infinity where there are fewer rows; and how many rows there were."""
    queries = np.stack([probe.vector for probe in probes])
    best = np.full((len(probes), NEAREST + 1), -np.inf, dtype=np.float32)
    rows, after, started = 0, "", time.monotonic()
    while page := await index.scan(after, PAGE):
        scores = queries @ np.stack([record.vector for record in page]).T
        best = -np.sort(-np.concatenate([best, scores], axis=1), axis=1)[:, : NEAREST + 1]
        rows, after = rows + len(page), page[-1].id
        if rows_per_s is not None:
            await asyncio.sleep(max(0.0, started + rows / rows_per_s - time.monotonic()))
    return best, rows


async def agreement(one: IndexPort, other: IndexPort, ids: Sequence[str]) -> float | None:
    """Share of the NEAREST of each item that both indexes have, each by its own vectors; None without items."""
    shares: list[float] = []
    for id in ids:
        (a,), (b,) = await asyncio.gather(one.get([id]), other.get([id]))
        if a is None or b is None:
            continue
        hits = await asyncio.gather(
            one.search(Query(a.vector, NEAREST + 1)), other.search(Query(b.vector, NEAREST + 1))
        )
        first, second = ({hit.id for hit in found if hit.id != id} for found in hits)
        if first or second:
            shares.append(len(first & second) / min(NEAREST, max(len(first), len(second))))
    return float(np.mean(np.minimum(shares, 1.0))) if shares else None
