"""Several rankings of one collection as one: weighted reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).

Ranks are fused and never scores, for a cosine and a BM25 have no common scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RANK_CONSTANT = 1
"""Added to every place. The paper's 60 is for many rankings of the same kind, where what most of them agree on is
right. Two rankings of different kinds seldom agree: where only one can know, as words do of a page and a vector of a
photo, its first places must stand against any place in the other. `loadtests/bench_hybrid.py` compares."""
TEXT_WEIGHT = 1.5
"""Of a place by words against one by vector: that the very words are there is seldom chance."""


@dataclass(frozen=True, slots=True)
class Fused:
    """An id, its fused score, and its place from 1 in each ranking that holds it."""

    id: str
    score: float
    ranks: Mapping[str, int]


def fuse(
    rankings: Mapping[str, Sequence[str]],
    weights: Mapping[str, float] = {"text": TEXT_WEIGHT},
    constant: float = RANK_CONSTANT,
) -> list[Fused]:
    """Ids of all rankings, best first, ties by id: by the sum of `weight / (constant + place)` over the rankings.

    A ranking lists an id once, best first; one without a weight has 1.
    """
    ranks: dict[str, dict[str, int]] = {}
    scores: dict[str, float] = {}
    for name, ids in rankings.items():
        weight = weights.get(name, 1.0)
        for place, id in enumerate(ids, start=1):
            ranks.setdefault(id, {})[name] = place
            scores[id] = scores.get(id, 0.0) + weight / (constant + place)
    return sorted((Fused(id, scores[id], at) for id, at in ranks.items()), key=lambda one: (-one.score, one.id))
