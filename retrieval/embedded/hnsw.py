"""A navigable graph (HNSW): a search walks from neighbour to neighbour towards the query.

The fastest at high recall, and the slowest to build. It cannot forget: rows that are replaced or deleted stay in the
graph as waypoints until it is built anew. It walks over 16-bit floats: a walk is bound by reading memory, of which that
is half, the recall is the same, and unlike 8-bit codes they need no training that later rows could make wrong.
Source: Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using HNSW graphs, 2018.
"""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.library import load_faiss
from retrieval.embedded.one_query import OneQuery
from retrieval.embedded.proposer import TIES, Mask, Proposals, found_only
from retrieval.embedded.tuning import TUNED_FOR, effort_for

OVERSAMPLING, SPARE = 4, 32
"""Of the candidates that a walk keeps, so many are handed over at the most: `OVERSAMPLING` for each hit and `SPARE`
beside them. Rows that are nearly alike, 16 bits put into a wrong order, and the exact scores put it right."""
MAX_GONE_SHARE = 0.25
"""Of the labels: beyond it the walk meets so many rows long gone that building anew pays."""
SPREAD = 3
"""Standard deviations more candidates than the allowed share asks for: without a pattern in it, one walk is enough."""
WALK_CHUNK = 4_096
PAUSE_S = 2e-4
"""A thread that only computes keeps Python's lock for 5 ms each time that another one wants it."""


class Hnsw:
    """Implements `Proposer`; its effort is the number of candidates kept on the way (efSearch)."""

    name = "hnsw"
    min_share: ClassVar[float] = 0.2
    """Below it more than five candidates have to be kept for one that passes."""
    score_error: ClassVar[float] = 1.01 * 2.0**-11
    """Half of the last bit of a 16-bit float, as a share of a unit row: by Cauchy and Schwarz the product is no more
    than that away. A hundredth more, for rows and queries that are of unit length only as far as is asked."""
    build_chunk: ClassVar[int] = 512
    late_chunk: ClassVar[int] = 8

    def __init__(self, index: Any, efforts: NDArray[np.int64] | None = None) -> None:
        """`index` is FAISS's."""
        self.index = index
        self._one_query = OneQuery(index)
        self.efforts = np.array(TUNED_FOR) if efforts is None else efforts

    @property
    def efforts(self) -> NDArray[np.int64]:
        return self._efforts

    @efforts.setter
    def efforts(self, efforts: NDArray[np.int64]) -> None:
        self._efforts = efforts
        self._few = int(efforts[0])
        self._few_hits = load_faiss().SearchParametersHNSW(efSearch=self._few)

    @property
    def most_effort(self) -> int:
        return max(1, self.count)

    def least_effort(self, top_k: int) -> int:
        """FAISS keeps as many candidates as it is to answer with."""
        return top_k + TIES

    @property
    def count(self) -> int:
        return int(self.index.ntotal)

    @property
    def nbytes(self) -> int:
        return self.count * int(self.index.d) * 2 + int(self.index.hnsw.neighbors.size()) * 4 + self.count * 12

    def propose(self, query: Vector, top_k: int, allowed: Mask | None) -> Proposals:
        if allowed is not None:
            return self._propose_allowed(query, top_k, allowed)
        if top_k > TUNED_FOR[0]:
            ef = effort_for(top_k, self.efforts)
            parameters = load_faiss().SearchParametersHNSW(efSearch=ef)
        else:
            ef, parameters = self._few, self._few_hits
        scores, labels = self._one_query(query, _wanted(top_k, ef), parameters)
        return found_only(labels, scores)

    def _propose_allowed(self, query: Vector, top_k: int, allowed: Mask) -> Proposals:
        """Walks until as many candidates are allowed as are kept where all are.

        FAISS ends a walk when enough candidates are near, whether or not its selector lets them pass: where those
        around the query do not, it answers with the few allowed rows that it happened upon. So the walk is done
        without a selector, and the share that counts is the one among its candidates.
        """
        needed, passing = max(top_k + TIES, effort_for(top_k, self.efforts)), int(np.count_nonzero(allowed))
        links, share = int(self.index.hnsw.nb_neighbors(1)), passing / max(1, len(allowed))
        spread = SPREAD * math.sqrt(needed * (1 - share))
        ef = math.ceil((needed + spread) / share) if passing else self.count
        while ef * links < passing:  # or else comparing all that are allowed is less work
            parameters = load_faiss().SearchParametersHNSW(efSearch=ef)
            scores, labels = self._one_query(query, ef, parameters)
            there = np.flatnonzero((labels >= 0) & allowed[labels])
            if len(there) >= needed:
                return labels[there], scores[there]
            ef *= 2
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)

    def find(self, queries: Vector, top_k: int, effort: int) -> NDArray[np.int64]:
        parameters = load_faiss().SearchParametersHNSW(efSearch=effort)
        return np.asarray(self.index.search(queries, _wanted(top_k, effort), params=parameters)[1], dtype=np.int64)

    def wanted(self, top_k: int) -> int:
        return _wanted(top_k, effort_for(top_k, self.efforts))

    def comparisons(self, top_k: int) -> int:
        return effort_for(top_k, self.efforts) * int(self.index.hnsw.nb_neighbors(1))

    def prepare(self, rows: Vector) -> None:
        """Nothing: the whole of adding changes the graph."""

    def add(self, rows: Vector, prepared: None) -> None:
        self.index.add(np.ascontiguousarray(rows))

    def unreachable(self) -> NDArray[np.int64]:
        """Labels that no path leads to from where searches start.

        Where many rows are alike, each links to others of them only, and the graph falls apart: of 1,000 equal rows
        among 5,000, FAISS's graph reaches 200.
        """
        faiss, graph = load_faiss(), self.index.hnsw
        if not self.count:
            return np.empty(0, dtype=np.int64)
        neighbours = faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())
        first = faiss.rev_swig_ptr(graph.offsets.data(), graph.offsets.size())
        places = np.arange(graph.nb_neighbors(0))
        seen = np.zeros(self.count, dtype=bool)
        waiting = [np.array([graph.entry_point])]
        seen[graph.entry_point] = True
        while waiting:
            here = waiting.pop()
            links = neighbours[first[here][:, None].astype(np.int64) + places]
            links = np.unique(links[links >= 0])
            fresh = links[~seen[links]]
            seen[fresh] = True
            waiting += [fresh[start : start + WALK_CHUNK] for start in range(0, len(fresh), WALK_CHUNK)]
            time.sleep(PAUSE_S)
        return np.flatnonzero(~seen)

    def is_outgrown(self, rows: int, waiting: int, gone: int) -> bool:
        """Many of its labels are of rows long gone; or more rows wait than it holds, which is less work all at once."""
        return gone > MAX_GONE_SHARE * self.count or waiting > self.count - gone

    def describe(self) -> str:
        return f"{self.efforts[0]} candidates kept for 10 hits"

    def serialized(self) -> NDArray[np.uint8]:
        return np.asarray(load_faiss().serialize_index(self.index))


def new_hnsw(dim: int, m: int, ef_construction: int) -> Hnsw:
    """An empty graph of `2 * m` links a row."""
    faiss = load_faiss()
    index = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_fp16, m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    return Hnsw(index)


def _wanted(top_k: int, ef: int) -> int:
    return max(top_k + TIES, min(ef, OVERSAMPLING * top_k + SPARE))
