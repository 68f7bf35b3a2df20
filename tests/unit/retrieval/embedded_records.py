"""Records for the tests of the embedded index, and what is asked of it again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.base import Payload, Query, Record, Vector
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.hnsw import Hnsw
from retrieval.embedded.library import load_faiss
from retrieval.open import EmbeddedOptions

DIM = 32
CONTRACT = '{"model":"m"}'


def vectors(count: int, seed: int = 0, clusters: int = 40) -> Vector:
    """Unit rows around random centres."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((clusters, DIM))
    rows = centres[random.integers(0, clusters, count)] + 0.5 * random.standard_normal((count, DIM))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def records(count: int, seed: int = 0, first: int = 0, clusters: int = 40) -> list[Record]:
    return [
        Record(f"{first + i:06}", row, Payload(kind="image", metadata={"n": first + i}))
        for i, row in enumerate(vectors(count, seed, clusters))
    ]


def open_at(folder: Path, **options: Any) -> EmbeddedIndex:
    return EmbeddedIndex(folder, DIM, CONTRACT, EmbeddedOptions(**options))


async def built(index: EmbeddedIndex, structure: str = "ivf-sq8") -> None:
    while (await index.health()).structure != structure or "building" in (await index.health()).detail:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def recall(index: EmbeddedIndex, truth: dict[str, Vector], queries: Vector, top_k: int = 10) -> float:
    """Of the nearest by score; there must be `top_k` of them, and every score must be the exact cosine."""
    ids, matrix = list(truth), np.stack(list(truth.values()))
    found = 0
    for query, hits in zip(queries, await index.search([Query(q, top_k) for q in queries]), strict=True):
        exact = matrix @ query
        assert len(hits) == min(top_k, len(ids))
        for hit in hits:
            assert hit.score == pytest.approx(float(truth[hit.id] @ query), abs=2e-6)
        found += len({ids[i] for i in np.argsort(-exact)[:top_k]} & {hit.id for hit in hits})
    return found / (top_k * len(queries))


def must_know_its_rows(index: EmbeddedIndex, at_least: int) -> None:
    """Each label of the graph is of the very row that the graph was given under it."""
    rows, proposer = index._structure.rows, index._structure.proposer
    assert isinstance(proposer, Hnsw)
    slots = np.flatnonzero(rows.labels.of_slots(rows.count) >= 0)
    assert len(slots) > at_least
    held = load_faiss().downcast_index(proposer.index.storage).reconstruct_n(0, proposer.count)
    np.testing.assert_allclose(held[rows.labels.of_slots(rows.count)[slots]], rows.matrix[slots], atol=5e-4)  # 16 bits
