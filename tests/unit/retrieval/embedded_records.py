"""Records for the tests of the embedded index, and what is asked of it again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from retrieval.base import Payload, Query, Record, Vector
from retrieval.embedded import EmbeddedIndex

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


def open_at(folder: Path, **options: float) -> EmbeddedIndex:
    return EmbeddedIndex(folder, DIM, CONTRACT, **options)  # type: ignore[arg-type]


async def built(index: EmbeddedIndex) -> None:
    while (await index.health()).structure != "ivf-sq8" or "building" in (await index.health()).detail:  # noqa: ASYNC110
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
