"""What one segment of an index costs: CPU time a search, bytes a row, CPU time to build. FAISS stands for Milvus here.

Milvus keeps a collection as sealed segments, each with an index of its own, and searches every one of them for each
query (milvus.io/docs, "Data processing"); its HNSW and IVF are Knowhere's, a fork of FAISS. So a collection's cost is
the cost of a segment, measured here at several sizes, times their number.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import faiss
import numpy as np

from loadtests.index_data import make_vectors
from retrieval.base import Vector

IndexType: TypeAlias = Literal["HNSW", "HNSW_SQ8", "IVF_SQ8"]
INDEX_TYPES: tuple[IndexType, ...] = ("HNSW", "HNSW_SQ8", "IVF_SQ8")
LINKS = 16
BUILD_EF = 200
TOP_K = 10
TARGET_RECALL = 0.95
QUERIES = 500
LADDER = (*range(1, 16), *range(16, 64, 2), *range(64, 257, 8), 384, 512, 768, 1024)
"""Values that are tried for `ef` and `nprobe`, from the cheapest."""


@dataclass(frozen=True, slots=True)
class SegmentCost:
    """Measured on one core at recall@10 of TARGET_RECALL or what the ladder's end reaches."""

    index: IndexType
    dim: int
    rows: int
    parameter: int
    """`ef`, or for IVF `nprobe`."""
    recall: float
    search_ms: float
    """Mean CPU time of one query."""
    spread: float
    """p99 over the mean of single queries: what a simulation draws from."""
    bytes_per_row: float
    build_s: float


def measure(index_type: IndexType, dim: int, rows: int) -> SegmentCost:
    """Builds a segment and searches it on one core."""
    faiss.omp_set_num_threads(1)
    made = make_vectors(rows + QUERIES, 1, dim)
    matrix, queries = made[:rows], made[rows:]
    exact = faiss.IndexFlatIP(dim)
    exact.add(matrix)
    truth = exact.search(queries, TOP_K)[1]
    began = time.process_time()
    index = _build(index_type, matrix)
    build_s = time.process_time() - began
    parameter, recall = _tune(index_type, index, queries, truth)
    times_s = [_timed(index, queries[row : row + 1]) for row in range(QUERIES)]
    mean_s = float(np.mean(times_s))
    return SegmentCost(
        index=index_type,
        dim=dim,
        rows=rows,
        parameter=parameter,
        recall=round(recall, 4),
        search_ms=round(mean_s * 1e3, 4),
        spread=round(float(np.percentile(times_s, 99)) / mean_s, 3),
        bytes_per_row=round(faiss.serialize_index(index).nbytes / rows, 1),
        build_s=round(build_s, 2),
    )


def _build(index_type: IndexType, matrix: Vector) -> Any:
    rows, dim = matrix.shape
    factory = {"HNSW": f"HNSW{LINKS}", "HNSW_SQ8": f"HNSW{LINKS}_SQ8", "IVF_SQ8": f"IVF{int(4 * rows**0.5)},SQ8"}
    index: Any = faiss.index_factory(dim, factory[index_type], faiss.METRIC_INNER_PRODUCT)
    if index_type != "IVF_SQ8":
        index.hnsw.efConstruction = BUILD_EF
    index.train(matrix)
    index.add(matrix)
    return index


def _tune(index_type: IndexType, index: Any, queries: Vector, truth: Any) -> tuple[int, float]:
    """Sets the cheapest parameter that reaches the target, and says which and how far."""
    recall = 0.0
    for parameter in LADDER:
        if index_type == "IVF_SQ8":
            index.nprobe = min(parameter, index.nlist)
        else:
            index.hnsw.efSearch = parameter
        found = index.search(queries, TOP_K)[1]
        recall = float(np.mean([len(set(a) & set(b)) / TOP_K for a, b in zip(found, truth, strict=True)]))
        if recall >= TARGET_RECALL:
            break
    return parameter, recall


def _timed(index: Any, query: Vector) -> float:
    began = time.process_time()
    index.search(query, TOP_K)
    return time.process_time() - began
