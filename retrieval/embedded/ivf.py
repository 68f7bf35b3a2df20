"""An inverted file (IVF): rows in lists around learnt centres, of which a search reads the nearest few.

The lists hold 8-bit codes (`ivf-sq8`, a quarter of the memory) or the float32 rows (`ivf-flat`).
Sources: Sivic and Zisserman, Video Google, 2003; Douze et al., The Faiss library, 2024.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.embedded.library import load_faiss
from retrieval.embedded.one_query import OneQuery
from retrieval.embedded.proposer import TIES, Mask, Proposals, found_only
from retrieval.embedded.tuning import TUNED_FOR, effort_for

SAMPLE_PER_LIST = 40
"""FAISS warns below 39 training vectors a list."""
OVERSAMPLING = 4
"""Proposals per wanted hit: what 8-bit codes misplace, the exact scores put right."""
MIN_PROPOSALS = 64

HELD_SHARE = 0.75
"""Of the rows that lists hold when all are allowed: lists differ in size, and a few rows less cost no second look."""


class Ivf:
    """Implements `Proposer`; its effort is the number of lists read (nprobe)."""

    min_share: ClassVar[float] = 0.0
    score_error: ClassVar[float] = 0.0
    build_chunk: ClassVar[int] = 16_384
    late_chunk: ClassVar[int] = 2_048

    def __init__(self, index: Any, efforts: NDArray[np.int64] | None = None) -> None:
        """`index` is FAISS's, trained."""
        faiss = load_faiss()
        self.index = index
        self._one_query = OneQuery(index)
        self._holds_codes = isinstance(index, faiss.IndexIVFScalarQuantizer)
        self.name = "ivf-sq8" if self._holds_codes else "ivf-flat"
        self.efforts = np.full(len(TUNED_FOR), self.nlist) if efforts is None else efforts
        self._list_of, self._sizes = _lists_of(index)
        self._counted = np.empty(0, dtype=bool), np.empty(0, dtype=np.int64)

    @property
    def efforts(self) -> NDArray[np.int64]:
        return self._efforts

    @efforts.setter
    def efforts(self, efforts: NDArray[np.int64]) -> None:
        self._efforts = efforts
        self._few_hits = load_faiss().SearchParametersIVF(nprobe=int(efforts[0]))

    @property
    def nlist(self) -> int:
        return int(self.index.nlist)

    @property
    def most_effort(self) -> int:
        return self.nlist

    def least_effort(self, top_k: int) -> int:
        return 1

    @property
    def count(self) -> int:
        return int(self.index.ntotal)

    @property
    def nbytes(self) -> int:
        return self.count * (int(self.index.code_size) + 12) + self.nlist * int(self.index.d) * 4

    def propose(self, query: Vector, top_k: int, allowed: Mask | None) -> Proposals:
        wanted, nprobe = self.wanted(top_k), effort_for(top_k, self.efforts)
        if allowed is None:
            return self._nearest(query, wanted, nprobe)
        nprobe = self._lists_holding(query, nprobe, allowed)
        if 2 * np.count_nonzero(allowed) > len(allowed):  # to look at twice as many is faster than to select
            labels, scores = self._nearest(query, 2 * wanted, nprobe)
            there = np.flatnonzero(allowed[labels])[:wanted]
            if len(there) == wanted:
                return labels[there], None if scores is None else scores[there]
        faiss = load_faiss()
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
        return self._search(query, wanted, faiss.SearchParametersIVF(nprobe=nprobe, sel=selector))

    def _nearest(self, query: Vector, wanted: int, nprobe: int) -> Proposals:
        is_usual = nprobe == self.efforts[0]
        return self._search(
            query, wanted, self._few_hits if is_usual else load_faiss().SearchParametersIVF(nprobe=nprobe)
        )

    def _search(self, query: Vector, wanted: int, parameters: Any) -> Proposals:
        scores, labels = self._one_query(query, wanted, parameters)
        return found_only(labels, None if self._holds_codes else scores)

    def _lists_holding(self, query: Vector, nprobe: int, allowed: Mask) -> int:
        """How many of the nearest lists hold about as many allowed rows as `nprobe` of them hold rows.

        More than the share of all rows says, where the lists around the query are full of others.
        """
        allowed_in, passing = self._counts(allowed), max(1, int(np.count_nonzero(allowed)))
        reading = min(self.nlist, math.ceil(nprobe * len(allowed) / passing))
        while reading < self.nlist:
            lists = self.index.quantizer.assign(query[None], reading)[0]
            rows = min(int(self._sizes[lists[:nprobe]].sum()), nprobe * self.count / self.nlist)
            if allowed_in[lists].sum() >= HELD_SHARE * rows:
                break
            reading = min(self.nlist, 2 * reading)
        return reading

    def _counts(self, allowed: Mask) -> NDArray[np.int64]:
        """`(nlist,)`: the allowed rows of each list; remembered, for where rows are gone it is the same mask again."""
        last, counts = self._counted
        if last is not allowed:
            counts = np.bincount(self._list_of[allowed], minlength=self.nlist)
            self._counted = allowed, counts
        return counts

    def find(self, queries: Vector, top_k: int, effort: int) -> NDArray[np.int64]:
        parameters = load_faiss().SearchParametersIVF(nprobe=effort)
        return np.asarray(self.index.search(queries, self.wanted(top_k), params=parameters)[1], dtype=np.int64)

    def wanted(self, top_k: int) -> int:
        return max(MIN_PROPOSALS, OVERSAMPLING * top_k) if self._holds_codes else top_k + TIES

    def comparisons(self, top_k: int) -> int:
        return self.nlist + self.count * effort_for(top_k, self.efforts) // self.nlist

    def prepare(self, rows: Vector) -> NDArray[np.int64]:
        """The list of each row."""
        return np.ascontiguousarray(self.index.quantizer.assign(rows, 1)[:, 0], dtype=np.int64)

    def add(self, rows: Vector, prepared: NDArray[np.int64]) -> None:
        faiss = load_faiss()
        rows = np.ascontiguousarray(rows)
        self.index.add_core(len(rows), faiss.swig_ptr(rows), None, faiss.swig_ptr(prepared))
        self._list_of = np.concatenate([self._list_of, prepared.astype(np.int32)])
        self._sizes = self._sizes + np.bincount(prepared, minlength=self.nlist)

    def unreachable(self) -> NDArray[np.int64]:
        """None: with enough lists every row is read."""
        return np.empty(0, dtype=np.int64)

    def is_outgrown(self, rows: int, waiting: int, gone: int) -> bool:
        """The rows have doubled since it was built, or most of what it holds is of rows long gone."""
        return lists_for(rows) > 1.4 * self.nlist or gone > rows

    def describe(self) -> str:
        return f"{self.efforts[0]} of {self.nlist} lists read for 10 hits"

    def serialized(self) -> NDArray[np.uint8]:
        return np.asarray(load_faiss().serialize_index(self.index))


def train_ivf(sample: Vector, rows: int, holds_codes: bool) -> Any:
    """FAISS's empty inverted file for `rows` rows, its lists learnt from `sample`."""
    faiss = load_faiss()
    dim, nlist = sample.shape[1], lists_for(rows)
    centres, inner_product = faiss.IndexFlatIP(dim), faiss.METRIC_INNER_PRODUCT
    if holds_codes:
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(centres, dim, nlist, eight_bits, inner_product, False)
    else:
        index = faiss.IndexIVFFlat(centres, dim, nlist, inner_product)
    index.cp.spherical = True
    index.train(sample)
    return index


def _lists_of(index: Any) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """`(ntotal,)` the list of each label, `(nlist,)` the rows of each list."""
    faiss, lists = load_faiss(), index.invlists
    sizes = np.array([lists.list_size(i) for i in range(index.nlist)], dtype=np.int64)
    list_of = np.empty(index.ntotal, dtype=np.int32)
    for i in np.flatnonzero(sizes).tolist():
        list_of[faiss.rev_swig_ptr(lists.get_ids(i), int(sizes[i]))] = i
    return list_of, sizes


def lists_for(rows: int) -> int:
    return max(1, min(int(2 * math.sqrt(rows)), rows // SAMPLE_PER_LIST))
