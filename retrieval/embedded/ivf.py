"""The approximate structure: a FAISS inverted file over 8-bit codes (IVF-SQ8), built from the packed rows.

It only proposes slots. The caller scores them by the float32 rows, so that a score is always the exact cosine.
Sources: Sivic and Zisserman, Video Google, 2003; Douze et al., The Faiss library, 2024.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Vector
from retrieval.errors import MissingExtra

SAMPLE_PER_LIST = 40
"""FAISS warns below 39 training vectors a list."""
OVERSAMPLING = 4
"""Proposals per wanted hit: what 8-bit codes misplace, the exact scores put right."""
MIN_PROPOSALS = 64
PROBES = 192


class Ivf:
    """An inverted file. `nprobe` of its `nlist` lists are read for one query; `built[slot]` is the version it holds."""

    def __init__(self, index: Any, nprobe: int, built: NDArray[np.int64]) -> None:
        self.index = index
        self.nprobe = nprobe
        self.built = built
        self._unfiltered = load_faiss().SearchParametersIVF(nprobe=nprobe)

    @property
    def nlist(self) -> int:
        return int(self.index.nlist)

    @property
    def nbytes(self) -> int:
        return int(self.index.ntotal) * (int(self.index.code_size) + 8) + self.nlist * int(self.index.d) * 4

    def propose(self, query: Vector, top_k: int, allowed: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Slots likely to be near `query`; a row that was replaced and added again may be there twice.

        `allowed` is `(n,)` booleans over the slots, None for all. Under a filter more lists are read, in proportion
        to how few rows pass.
        """
        faiss = load_faiss()
        parameters = self._unfiltered
        if allowed is not None:
            passing = max(1, int(allowed.sum()))
            nprobe = min(self.nlist, math.ceil(self.nprobe * len(allowed) / passing))
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)
        wanted = max(MIN_PROPOSALS, OVERSAMPLING * top_k)
        _, found = self.index.search(query[None], wanted, params=parameters)
        slots: NDArray[np.int64] = found[0]
        return slots if slots[-1] >= 0 else slots[slots >= 0]

    def assign(self, rows: Vector) -> NDArray[np.int64]:
        """The list of each row."""
        return np.asarray(self.index.quantizer.assign(rows, 1)[:, 0], dtype=np.int64)

    def add(self, slots: NDArray[np.int64], rows: Vector, lists: NDArray[np.int64], seqs: NDArray[np.int64]) -> None:
        """Puts rows into lists that `assign` found. Nobody may search meanwhile."""
        faiss = load_faiss()
        rows, lists = np.ascontiguousarray(rows), np.ascontiguousarray(lists)
        self.index.add_core(len(slots), *map(faiss.swig_ptr, (rows, slots, lists)))
        if len(slots):
            missing = int(slots.max()) + 1 - len(self.built)
            self.built = np.concatenate([self.built, np.full(max(0, missing), -1, dtype=np.int64)])
            self.built[slots] = seqs


def train(sample: Vector, rows: int) -> Any:
    """An empty inverted file for `rows` rows, its lists learnt from `sample`."""
    faiss = load_faiss()
    dim = sample.shape[1]
    nlist = lists_for(rows)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, nlist, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT, False
    )
    index.cp.spherical = True
    index.train(sample)
    return index


def lists_for(rows: int) -> int:
    return max(1, min(int(2 * math.sqrt(rows)), rows // SAMPLE_PER_LIST))


def choose_nprobe(index: Any, probes: Vector, exact: NDArray[np.int64], target_recall: float) -> int:
    """The fewest lists that find `target_recall` of the `exact` nearest slots `(n, k)` of the probes `(n, dim)`.

    All of them for a target of 1: that what is found for the probes is whole says nothing of other queries.
    """
    faiss = load_faiss()
    nprobe = 1 if target_recall < 1 else int(index.nlist)
    while nprobe < index.nlist:
        parameters = faiss.SearchParametersIVF(nprobe=nprobe)
        _, found = index.search(probes, max(MIN_PROPOSALS, OVERSAMPLING * exact.shape[1]), params=parameters)
        recalls = [len(np.intersect1d(a, b)) / exact.shape[1] for a, b in zip(exact, found, strict=True)]
        # Each kind of probe must reach it: the easy half does not make up for the hard one.
        if min(np.mean(recalls[: PROBES // 2]), np.mean(recalls[PROBES // 2 :])) >= target_recall:
            break
        nprobe = math.ceil(nprobe * 1.4)
    return min(nprobe, int(index.nlist))


class Probes:
    """Queries to tune by, and their exact nearest slots, gathered chunk by chunk.

    Half of them are rows, half are midpoints of two rows: like a text's vector among images, a midpoint lies far from
    every row, and its neighbours are scattered over many lists.
    """

    def __init__(self, sample: Vector, k: int = 10, seed: int = 0) -> None:
        pairs = np.random.default_rng(seed).integers(0, len(sample), size=(PROBES, 2))
        pairs[: PROBES // 2, 1] = pairs[: PROBES // 2, 0]
        vectors = sample[pairs[:, 0]] + sample[pairs[:, 1]]
        self.vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self.nearest = np.full((PROBES, k), -1, dtype=np.int64)
        self._scores = np.full((PROBES, k), -np.inf, dtype=np.float32)

    def see(self, chunk: Vector, first_slot: int) -> None:
        """Takes the rows of slots `first_slot` onward into account."""
        scores = np.hstack([self._scores, self.vectors @ chunk.T])
        slots = np.hstack([self.nearest, np.broadcast_to(first_slot + np.arange(len(chunk)), (PROBES, len(chunk)))])
        k = self.nearest.shape[1]
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self.nearest = np.take_along_axis(slots, best, axis=1)


def load_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("faiss-cpu", "serve") from error
    return faiss
