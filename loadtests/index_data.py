"""Vectors, records and exact answers for `bench_index`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Payload, Record, Vector

DIM = 384
LATENT = 64
CENTRES = 500
DECAY = 0.5
NOISE = 0.3


def make_vectors(count: int, seed: int, dim: int = DIM) -> Vector:
    """`(count, dim)` unit rows that are as hard to search as embeddings are: clouds around 500 centres that overlap,
    in 64 directions of falling weight, and a little noise in all. (Rows around far-off centres would be told apart by
    a graph with no effort, and rows without any centres have no neighbours.)
    """
    shared, own = np.random.default_rng(0), np.random.default_rng(seed)
    weights = (np.arange(1, LATENT + 1) ** -DECAY).astype(np.float32)
    centres = shared.standard_normal((CENTRES, LATENT), dtype=np.float32) * weights
    directions = np.linalg.qr(shared.standard_normal((dim, LATENT)))[0].T.astype(np.float32)
    rows = np.empty((count, dim), dtype=np.float32)
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        latent = centres[own.integers(0, CENTRES, size)]
        latent = latent + weights * own.standard_normal((size, LATENT), dtype=np.float32)
        part = latent @ directions
        part += NOISE * np.linalg.norm(weights) / np.sqrt(dim) * own.standard_normal((size, dim), dtype=np.float32)
        rows[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def make_records(matrix: Vector, first: int, count: int) -> list[Record]:
    """`share` is spread evenly over 0 to 1, so that a range over it passes just the share that it names."""
    total = len(matrix)
    return [
        Record(f"item-{i:07}", matrix[i],
               Payload(kind="image", mime="image/jpeg", media=f"{i:064x}", source=f"photos/{i}.jpg", width=640,
                       height=480, tags=("bench",), metadata={"share": share_of(i, total)}))
        for i in range(first, min(first + count, total))
    ]  # fmt: skip


def share_of(row: int, total: int) -> float:
    """A permutation of the rows (by a prime that no count here is a multiple of), as shares of their number."""
    return (row * 1_000_003 % total) / total


def exact_answers(
    matrix: Vector, queries: Vector, top_k: int, allowed: NDArray[np.bool_] | None = None
) -> list[set[int]]:
    """The best rows of each query."""
    slots = np.arange(len(matrix)) if allowed is None else np.flatnonzero(allowed)
    scores = queries @ (matrix if allowed is None else matrix[slots]).T
    top_k = min(top_k, len(slots))
    return [{int(slots[i]) for i in np.argpartition(-row, top_k - 1)[:top_k]} for row in scores]
