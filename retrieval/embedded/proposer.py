"""What an approximate structure promises: it proposes rows, and the caller scores them by the float32 rows.

So a score is always the exact cosine, whatever the structure made of the vector.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector

Mask = NDArray[np.bool_]
TIES = 8
"""Rows asked for beyond those wanted, so that ties at the edge show."""


Proposals: TypeAlias = tuple[NDArray[np.int64], Vector | None]
"""Labels, and their inner products with the query as far as the structure knows them: to `Proposer.score_error`."""


def found_only(labels: NDArray[np.int64], scores: Vector | None) -> Proposals:
    """Without the -1 that FAISS fills up with."""
    if labels[-1] >= 0:
        return labels, scores
    there = labels >= 0
    return labels[there], None if scores is None else scores[there]


class Proposer(Protocol):
    """Knows rows by label: 0, 1, … in the order in which they were added. It holds on to them for good: who asks it
    keeps account of which labels are of rows that have been replaced or deleted since.

    How hard it searches is one number, its effort: lists read, or candidates kept. Many threads may search at once;
    `add` needs it alone.
    """

    name: str
    """The index type: what `IndexHealth.structure` says."""
    efforts: NDArray[np.int64]
    """The effort for each number of hits of `tuning.TUNED_FOR`."""
    min_share: ClassVar[float]
    """Of the labels that a filter must let pass, or it is better to compare all that pass."""
    build_chunk: ClassVar[int]
    """Rows added in one call while it is built: how long stopping may take."""
    score_error: ClassVar[float]
    """How far from the exact one a score of a proposal may be, beyond float32's rounding."""
    late_chunk: ClassVar[int]
    """Rows added in one call later on, for so long searches wait."""

    @property
    def count(self) -> int:
        """Labels given."""
        ...

    @property
    def nbytes(self) -> int: ...

    @property
    def most_effort(self) -> int:
        """More of it finds no more."""
        ...

    def least_effort(self, top_k: int) -> int:
        """With less than it nothing changes."""
        ...

    def wanted(self, top_k: int) -> int:
        """Labels that it proposes for `top_k` hits, of as many rows."""
        ...

    def propose(self, query: Vector, top_k: int, allowed: Mask | None) -> Proposals:
        """Labels likely to be near `query`, best first; fewer than `top_k` where no more were found, and none where
        it is less work to compare all that are allowed.

        `allowed` is `(count,)` booleans over the labels, None for all. It promises the recall that it was tuned for
        wherever the labels lie that are not: all around the query, too.
        """
        ...

    def find(self, queries: Vector, top_k: int, effort: int) -> NDArray[np.int64]:
        """`(n, proposals)` labels that it would propose for `top_k` hits, -1 where there are no more; for tuning."""
        ...

    def comparisons(self, top_k: int) -> int:
        """About how many rows a query is compared with."""
        ...

    def prepare(self, rows: Vector) -> Any:
        """What of adding rows can be done while others search; `add` takes it."""
        ...

    def add(self, rows: Vector, prepared: Any) -> None:
        """Gives the next labels to `rows`. Nobody may search meanwhile."""
        ...

    def unreachable(self) -> NDArray[np.int64]:
        """Labels that no search can find, whatever its effort."""
        ...

    def is_outgrown(self, rows: int, waiting: int, gone: int) -> bool:
        """Whether to build anew: there are `rows`, of which it has `waiting` to add, and it holds `gone` others."""
        ...

    def describe(self) -> str: ...

    def serialized(self) -> NDArray[np.uint8]:
        """What `building.restore` takes."""
        ...
