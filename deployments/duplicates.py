"""Near-duplicates folded into one hit: photos in a burst, the same photo twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deployments.ports import IndexPort
from retrieval import Hit
from retrieval.ranking import MARGIN

OVER_FETCH = 4
"""Hits that are looked at for each that is asked for."""


@dataclass(frozen=True, slots=True)
class Folded:
    """The first hit of each group, in order, and by its id the others, best first."""

    hits: list[Hit]
    duplicates: dict[str, list[str]]


async def fold(index: IndexPort, hits: Sequence[Hit], cosine: float, groups: int) -> Folded:
    """At most `groups` hits: each other one joins the first before it whose vector is at least this near.

    A hit is compared with the first of each group only, so that a chain of small steps does not become one group. One
    that was deleted meanwhile is left out.
    """
    records = await index.get([hit.id for hit in hits])
    there = [(hit, record.vector) for hit, record in zip(hits, records, strict=True) if record is not None]
    kept: list[Hit] = []
    duplicates: dict[str, list[str]] = {}
    firsts = np.empty((groups, len(there[0][1]) if there else 0), dtype=np.float32)
    for hit, vector in there:
        near = np.flatnonzero(firsts[: len(kept)] @ vector >= cosine - MARGIN)
        if len(near):
            duplicates.setdefault(kept[near[0]].id, []).append(hit.id)
        elif len(kept) < groups:
            firsts[len(kept)] = vector
            kept.append(hit)
    return Folded(kept, duplicates)
