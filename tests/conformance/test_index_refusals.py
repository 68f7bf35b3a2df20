"""Records and queries that every index refuses, and that leave it as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from index_records import (
    DIM,
    payload,
    record,
    unit,
)

from retrieval.base import Query, Record, VectorIndex
from retrieval.errors import InvalidQuery, InvalidRecord
from retrieval.memory import MemoryIndex
from retrieval.validation import MAX_TOP_K


def _with_value(value: float) -> np.ndarray:
    vector = unit(0).copy()
    vector[3] = value
    return vector


BAD_VECTORS = {
    "nan": _with_value(np.nan),
    "infinite": _with_value(np.inf),
    "not unit": unit(0) * 2,
    "zero": np.zeros(DIM, dtype=np.float32),
    "short": unit(0)[:-1],
    "long": unit(0, DIM + 1),
    "two rows": np.stack([unit(0), unit(1)]),
    "integers": np.eye(DIM, dtype=np.int64)[0],
}


@pytest.mark.parametrize("vector", BAD_VECTORS.values(), ids=BAD_VECTORS.keys())
async def test_a_bad_vector_is_refused_and_nothing_is_written(index: VectorIndex, vector: np.ndarray) -> None:
    with pytest.raises(InvalidRecord, match=r"records\[1\]\.vector") as caught:
        await index.upsert([record(0), Record("bad", vector, payload(1))])
    assert caught.value.param == "records[1].vector"
    assert await index.count() == 0
    with pytest.raises(InvalidQuery):
        await index.search([Query(vector, 3)])
    await index.upsert([record(0)])
    assert await index.count() == 1


BAD_RECORDS = {
    "id": Record("", unit(0), payload(0)),
    "id of 129": Record("x" * 129, unit(0), payload(0)),
    "id with NUL": Record("a\0b", unit(0), payload(0)),
    "id with a surrogate": Record("a\ud800", unit(0), payload(0)),
    "kind": Record("a", unit(0), dataclasses.replace(payload(0), kind="video")),  # type: ignore[arg-type]
    "text": Record("a", unit(0), dataclasses.replace(payload(0), text="x" * 16_001)),
    "ocr_text": Record("a", unit(0), dataclasses.replace(payload(0), ocr_text="x" * 16_001)),
    "source": Record("a", unit(0), dataclasses.replace(payload(0), source="x" * 2_049)),
    "tags": Record("a", unit(0), dataclasses.replace(payload(0), tags=("x" * 129,))),
    "width": Record("a", unit(0), dataclasses.replace(payload(0), width=-1)),
    "metadata nan": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": float("nan")})),
    "metadata huge": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": 10**400})),
    "metadata list": Record("a", unit(0), dataclasses.replace(payload(0), metadata={"n": [1]})),  # type: ignore[dict-item]
    "metadata key": Record("a", unit(0), dataclasses.replace(payload(0), metadata={'n"] or': 1})),
}


@pytest.mark.parametrize("bad", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
async def test_a_bad_record_is_refused(bad: Record) -> None:
    """Every index checks with the same function, and the vectors above show that they call it."""
    index = MemoryIndex(DIM)
    with pytest.raises(InvalidRecord, match=r"records\[1\]\."):
        await index.upsert([record(0), bad])
    assert await index.count() == 0


@pytest.mark.parametrize("top_k", [0, -1, MAX_TOP_K + 1, True])
async def test_a_bad_top_k_is_refused(full: VectorIndex, top_k: int) -> None:
    with pytest.raises(InvalidQuery) as caught:
        await full.search([Query(unit(0), top_k)])
    assert caught.value.param == "top_k"
