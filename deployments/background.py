"""What a cosine means here: beside those of the same query with a random sample of the collection.

Cosines of one query cannot be compared with another's, nor one encoder's with another's; their place among those of
what was not asked for can. The sample is held in memory and drawn anew from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deployments.deadline import start_unhurried
from deployments.errors import CrossrayError
from deployments.ports import IndexPort
from encoders import Vectors
from retrieval import RetrievalError, Sample
from retrieval.base import KINDS_OF_TARGET, Target
from retrieval.ranking import MARGIN

SAMPLE_ROWS = 1000
LEAST_ROWS = 30
"""Fewer items are no background: a share of them would say more than is known."""
LEAST_SPREAD = 1e-6
KEEP_S = 60.0
KEEP_WHOLE_S = 2.0
"""A collection that fits into the sample whole soon looks different, and costs little to read again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One query's cosines `(n,)` with the sample, ascending; their mean and standard deviation."""

    cosines: Vectors
    mean: float
    spread: float

    @classmethod
    def of(cls, vector: Vectors, rows: Vectors) -> Comparison:
        """`vector` `(dim,)` against `rows` `(n, dim)`, all of them unit."""
        cosines = np.sort(rows @ vector)
        return cls(cosines, float(cosines.mean()), max(float(cosines.std()), LEAST_SPREAD))

    def percentile(self, cosine: float) -> float:
        """The share of the sample that scores lower, in percent. No probability of anything."""
        return 100 * float(self.cosines.searchsorted(cosine - MARGIN)) / len(self.cosines)

    def standard(self, cosine: float) -> float:
        """By how many of the sample's standard deviations a cosine is over its mean."""
        return (cosine - self.mean) / self.spread


class Background:
    """Holds the sample of one collection, and draws another where it is old and somebody asks."""

    def __init__(
        self, index: IndexPort, *, rows: int = SAMPLE_ROWS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._index = index
        self._rows = rows
        self._clock = clock
        self._by_target: dict[Target, Vectors] = {}
        self._drawing: asyncio.Task[None] | None = None
        self._due = clock()

    async def compare(self, vector: Vectors, target: Target) -> Comparison | None:
        """With items of this target; None where there are too few, or they cannot be read now."""
        if self._clock() >= self._due and self._drawing is None:
            self._drawing = start_unhurried(self._draw())
        if not self._by_target and self._drawing is not None:
            await asyncio.wait({self._drawing})  # not awaited itself: others wait for it, too
        rows = self._by_target.get(target)
        return Comparison.of(vector, rows) if rows is not None and len(rows) >= LEAST_ROWS else None

    async def _draw(self) -> None:
        keep_s = KEEP_WHOLE_S
        try:
            sample = await self._index.sample(self._rows)
            self._by_target = _by_target(sample)
            keep_s = KEEP_S if len(sample.kinds) == self._rows else KEEP_WHOLE_S
        except (CrossrayError, RetrievalError) as error:
            log.warning("no background for scores: %s", error)
        except Exception:
            log.exception("drawing a sample of the collection failed")
        finally:
            self._due = self._clock() + keep_s
            self._drawing = None


def _by_target(sample: Sample) -> dict[Target, Vectors]:
    kinds = np.array(sample.kinds)
    return {target: sample.vectors[np.isin(kinds, wanted)] for target, wanted in KINDS_OF_TARGET.items()}
