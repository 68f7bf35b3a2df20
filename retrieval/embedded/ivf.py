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
TUNED_FOR = (10, 100, 1000)
"""Numbers of hits for which the lists to read are measured: the 1000 nearest lie in many more than the 10."""
FEWER_PROBES = 4
"""A probe's 100 neighbours tell more than 10: beyond the first of `TUNED_FOR`, one of so many probes is enough."""


class Ivf:
    """An inverted file of `nlist` lists; `built[slot]` is the version of the row that it holds.

    `nprobes` says how many lists are read for one query, for each number of hits of `TUNED_FOR`.
    """

    def __init__(self, index: Any, nprobes: NDArray[np.int64], built: NDArray[np.int64]) -> None:
        self.index = index
        self.nprobes = nprobes
        self.built = built
        self._few_hits = load_faiss().SearchParametersIVF(nprobe=int(nprobes[0]))

    def nprobe(self, top_k: int) -> int:
        """How many lists are read for `top_k` hits: between two numbers that were measured, along the power law."""
        if top_k <= TUNED_FOR[0]:
            return int(self.nprobes[0])
        exponent = np.interp(np.log(top_k), np.log(TUNED_FOR), np.log(self.nprobes))
        return math.ceil(math.exp(float(exponent)) - 1e-6)

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
        parameters = self._few_hits
        if allowed is None and top_k > TUNED_FOR[0]:
            parameters = faiss.SearchParametersIVF(nprobe=self.nprobe(top_k))
        elif allowed is not None:
            passing = max(1, int(allowed.sum()))
            nprobe = min(self.nlist, math.ceil(self.nprobe(top_k) * len(allowed) / passing))
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


def choose_nprobes(index: Any, probes: Vector, exact: NDArray[np.int64], target_recall: float) -> NDArray[np.int64]:
    """For each k of `TUNED_FOR` the fewest lists that find `target_recall` of the k nearest slots of the probes.

    `probes` is `(n, dim)`, `exact` `(n, max(TUNED_FOR))`, best first. All lists for a target of 1: that what is found
    for the probes is whole says nothing of other queries.
    """
    nprobes = [1 if target_recall < 1 else int(index.nlist)]
    for k in TUNED_FOR:
        step = 1 if k == TUNED_FOR[0] else FEWER_PROBES
        nprobes.append(_fewest_lists(index, probes[::step], exact[::step, :k], target_recall, nprobes[-1]))
    return np.array(nprobes[1:], dtype=np.int64)


def _fewest_lists(index: Any, probes: Vector, exact: NDArray[np.int64], target_recall: float, nprobe: int) -> int:
    """From `nprobe` upward."""
    faiss = load_faiss()
    half = len(probes) // 2
    while nprobe < index.nlist:
        parameters = faiss.SearchParametersIVF(nprobe=nprobe)
        _, found = index.search(probes, max(MIN_PROPOSALS, OVERSAMPLING * exact.shape[1]), params=parameters)
        recalls = [len(np.intersect1d(a, b)) / exact.shape[1] for a, b in zip(exact, found, strict=True)]
        # Each kind of probe must reach it: the easy half does not make up for the hard one.
        if min(np.mean(recalls[:half]), np.mean(recalls[half:])) >= target_recall:
            break
        nprobe = math.ceil(nprobe * 1.4)
    return min(nprobe, int(index.nlist))


class Probes:
    """Queries to tune by, and their exact nearest slots, best first, gathered chunk by chunk.

    Half of them are rows, half are midpoints of two rows: like a text's vector among images, a midpoint lies far from
    every row, and its neighbours are scattered over many lists.
    """

    def __init__(self, sample: Vector, k: int = max(TUNED_FOR), seed: int = 0) -> None:
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
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1)
        self._scores = np.take_along_axis(scores, best, axis=1)
        self.nearest = np.take_along_axis(slots, best, axis=1)


def load_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("faiss-cpu") from error
    return faiss
