"""Several rankings of one collection as one: reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).

Ranks are fused and never scores, for a cosine and a BM25 have no common scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RANK_CONSTANT = 60
"""The paper's: large enough that a first place in one ranking does not outweigh two good places."""


@dataclass(frozen=True, slots=True)
class Fused:
    """An id, its fused score, and its place from 1 in each ranking that holds it."""

    id: str
    score: float
    ranks: Mapping[str, int]


def fuse(rankings: Mapping[str, Sequence[str]]) -> list[Fused]:
    """Ids of all rankings, best first, ties by id. A ranking lists an id once, best first."""
    ranks: dict[str, dict[str, int]] = {}
    for name, ids in rankings.items():
        for place, id in enumerate(ids, start=1):
            ranks.setdefault(id, {})[name] = place
    fused = [Fused(id, sum(1 / (RANK_CONSTANT + place) for place in at.values()), at) for id, at in ranks.items()]
    return sorted(fused, key=lambda one: (-one.score, one.id))
