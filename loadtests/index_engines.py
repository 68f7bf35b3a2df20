"""What `bench_index` compares: the embedded index's types, and the libraries that a user would take instead.

An engine answers one query at a time with ten rows, from any thread. Its effort (lists read, candidates kept) is what
recall is bought with: `tune` finds the least that reaches a recall, the same way for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import hnswlib
import numpy as np
from numpy.typing import NDArray
from usearch.index import Index as UsearchIndex

from retrieval.base import Query, Vector
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.hnsw import Hnsw
from retrieval.embedded.ivf import MIN_PROPOSALS, Ivf
from retrieval.embedded.library import load_faiss
from retrieval.embedded.proposer import TIES, Proposer

TOP_K = 10
M = 16
EF_CONSTRUCTION = 100
FIRST_EFFORT = {"hnsw": 10, "ivf": 1}
STEP = 1.15
BUILD_THREADS = 2


@dataclass(eq=False)
class Engine:
    """`search` gives row numbers, or ids that end in them; the time it takes is what is measured."""

    name: str
    family: str
    """`hnsw`, `ivf` or `exact`."""
    search: Callable[[Vector], Iterable[Any]]
    set_effort: Callable[[int], None] | None = None
    effort: int | None = None
    memory_bytes: int = 0
    build_s: float | None = None
    is_ours: bool = False

    def rows(self, query: Vector) -> set[int]:
        return {int(str(found)[-7:]) for found in self.search(query)}


def proposer_of(index: EmbeddedIndex) -> Proposer:
    proposer = index._structure.proposer
    assert proposer is not None
    return proposer


def embedded_engine(index: EmbeddedIndex, name: str) -> Engine:
    """Ids and scores, without payloads; its effort is set, not the one that it was tuned to."""
    proposer = index._structure.proposer

    def set_effort(effort: int) -> None:
        assert proposer is not None
        proposer.efforts = np.array([effort, *proposer.efforts[1:]])

    def search(query: Vector) -> list[str]:
        return [id for id, _ in index.search_ids(Query(query, TOP_K))]

    family = "exact" if proposer is None else "hnsw" if isinstance(proposer, Hnsw) else "ivf"
    memory = index._structure.nbytes
    return Engine(name, family, search, set_effort if proposer else None, memory_bytes=memory, is_ours=True)


def bare_faiss(index: EmbeddedIndex, matrix: Vector) -> Engine:
    """The very structure of the embedded index, called as FAISS is called; what holds the rows in fewer bits is refined
    by the float32 rows."""
    faiss = load_faiss()
    proposer = index._structure.proposer
    if proposer is None:
        flat = faiss.IndexFlatIP(matrix.shape[1])
        flat.add(matrix)
        return Engine("FAISS Flat", "exact", lambda q: flat.search(q[None], TOP_K)[1][0], memory_bytes=matrix.nbytes)
    slot_of = index._structure.rows.labels.slot_of.copy()
    state: dict[str, Any] = {}
    assert isinstance(proposer, Hnsw | Ivf)
    structure, memory = proposer.index, proposer.nbytes
    is_graph = isinstance(proposer, Hnsw)
    if is_refined := proposer.name != "ivf-flat":
        rows = faiss.IndexFlatIP(matrix.shape[1])
        rows.add(matrix[slot_of])
        structure, memory = faiss.IndexRefine(proposer.index, rows), memory + matrix.nbytes
    candidates = (TOP_K + TIES) if is_graph else MIN_PROPOSALS

    def set_effort(effort: int) -> None:
        base = faiss.SearchParametersHNSW(efSearch=effort) if is_graph else faiss.SearchParametersIVF(nprobe=effort)
        if is_refined:
            base = faiss.IndexRefineSearchParameters(k_factor=candidates / TOP_K, base_index_params=base)
        state["parameters"] = base

    def read(query: Vector) -> NDArray[np.int64]:
        return np.asarray(slot_of[structure.search(query[None], TOP_K, params=state["parameters"])[1][0]])

    family = "hnsw" if is_graph else "ivf"
    set_effort(FIRST_EFFORT[family])
    name = {"hnsw": "FAISS HNSW-FP16 refined", "ivf-sq8": "FAISS IVF-SQ8 refined", "ivf-flat": "FAISS IVF-Flat"}
    return Engine(name[proposer.name], family, read, set_effort, memory_bytes=memory)


def faiss_hnsw_engine(matrix: Vector) -> Engine:
    """FAISS's graph over the float32 rows."""
    faiss = load_faiss()
    begun = time.perf_counter()
    index = faiss.IndexHNSWFlat(matrix.shape[1], M, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    faiss.omp_set_num_threads(BUILD_THREADS)
    index.add(matrix)
    faiss.omp_set_num_threads(1)
    built_s = time.perf_counter() - begun
    state: dict[str, Any] = {}

    def set_candidates(effort: int) -> None:
        state["parameters"] = faiss.SearchParametersHNSW(efSearch=effort)

    def walk(query: Vector) -> NDArray[np.int64]:
        return np.asarray(index.search(query[None], TOP_K, params=state["parameters"])[1][0])

    set_candidates(FIRST_EFFORT["hnsw"])
    memory = matrix.nbytes + index.hnsw.neighbors.size() * 4 + len(matrix) * 12
    return Engine("FAISS HNSW", "hnsw", walk, set_candidates, memory_bytes=memory, build_s=built_s)


def hnswlib_engine(matrix: Vector) -> Engine:
    begun = time.perf_counter()
    index = hnswlib.Index("ip", matrix.shape[1])
    index.init_index(len(matrix), M=M, ef_construction=EF_CONSTRUCTION)
    index.add_items(matrix, num_threads=BUILD_THREADS)
    built_s = time.perf_counter() - begun

    def search(query: Vector) -> NDArray[np.uint64]:
        return np.asarray(index.knn_query(query, TOP_K, num_threads=1)[0][0])

    return Engine("hnswlib", "hnsw", search, index.set_ef, memory_bytes=index.index_file_size(), build_s=built_s)


def usearch_engine(matrix: Vector) -> Engine:
    begun = time.perf_counter()
    index = UsearchIndex(ndim=matrix.shape[1], metric="ip", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION)
    index.add(np.arange(len(matrix)), matrix, threads=BUILD_THREADS)
    built_s = time.perf_counter() - begun

    def set_effort(effort: int) -> None:
        index.expansion_search = effort  # type: ignore[misc]  # it has a setter

    def search(query: Vector) -> NDArray[np.uint64]:
        return np.asarray(index.search(query, TOP_K, threads=1).keys)

    return Engine("usearch", "hnsw", search, set_effort, memory_bytes=index.memory_usage, build_s=built_s)


def recall(engine: Engine, queries: Vector, answers: Sequence[set[int]]) -> float:
    found = sum(len(engine.rows(query) & answer) for query, answer in zip(queries, answers, strict=True))
    return found / (TOP_K * len(queries))


def tune(engine: Engine, queries: Vector, answers: Sequence[set[int]], target: float) -> list[tuple[int, float]]:
    """Sets the least effort that reaches the target; the efforts tried and their recall."""
    if engine.set_effort is None:
        return []
    tried: list[tuple[int, float]] = []
    effort = FIRST_EFFORT[engine.family]
    while not tried or (tried[-1][1] < target and effort < 4096):
        engine.set_effort(effort)
        engine.effort = effort
        tried.append((effort, round(recall(engine, queries, answers), 4)))
        effort = max(effort + 1, int(effort * STEP))
    return tried
