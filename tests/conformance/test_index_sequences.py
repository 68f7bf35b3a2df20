"""Any sequence of calls leaves the embedded index, of every type, where it leaves the oracle."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_records import DIM, NAMES, Name, Opener, filters, payload, unit

from retrieval.base import Query, Record, VectorIndex
from retrieval.memory import MemoryIndex

_id = st.integers(0, 40).map(lambda i: f"id-{i:03}")
_record = st.builds(
    lambda id, vector, i: Record(id, unit(vector), payload(i)), _id, st.integers(0, 30), st.integers(0, 50)
)
_target = st.sampled_from(["any", "image", "text"])
_step = st.one_of(
    st.tuples(st.just("upsert"), st.lists(_record, max_size=30)),
    st.tuples(st.just("delete"), st.lists(_id, max_size=8)),
    st.tuples(
        st.just("search"),
        st.builds(Query, st.integers(0, 60).map(unit), st.integers(1, 12), _target, st.none() | filters),
    ),
    st.tuples(st.just("count"), filters),
    st.tuples(st.just("get"), st.lists(_id, max_size=4)),
    st.tuples(st.just("reopen"), st.none()),
)


def plain(answer: Any) -> Any:
    """Vectors as lists, so that answers can be compared; scores to within rounding."""
    if isinstance(answer, Record):
        return (answer.id, answer.vector.tolist(), answer.payload)
    if isinstance(answer, list):
        return [plain(part) for part in answer]
    return answer


async def run(index: VectorIndex, step: tuple[str, Any]) -> Any:
    call, argument = step
    if call == "search":
        (hits,) = await index.search([argument])
        return [(hit.id, pytest.approx(hit.score, abs=2e-6), hit.payload) for hit in hits]
    return plain(await getattr(index, call)(argument))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("embedded")])
@given(steps=st.lists(_step, min_size=2, max_size=14))
@settings(max_examples=20)
def test_any_sequence_of_calls(name: Name, steps: list[tuple[str, Any]]) -> None:
    async def compare(folder: Path) -> None:
        opener = Opener(name, folder)
        index, oracle = await opener(), MemoryIndex(DIM)
        for step in steps:
            if step[0] == "reopen":
                await index.close()
                index = await opener()
            else:
                assert await run(index, step) == await run(oracle, step)
        assert plain(await index.scan()) == plain(await oracle.scan())
        await index.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(compare(Path(folder)))
