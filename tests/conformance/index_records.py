"""Records, filters, openers and comparisons for the tests of indexes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import strategies as st

from retrieval.base import KINDS_OF_TARGET, Hit, Payload, Record, Vector, VectorIndex
from retrieval.embedded.gpu import missing_for_gpu
from retrieval.filters import MAX_INT, TEXTS, And, Contains, Exists, Filter, In, Not, Or, Range
from retrieval.open import Backend, Device, EmbeddedOptions, IndexType, MilvusOptions, open_index

DIM = 16
CONTRACT = '{"dim":16,"model":"test/Model-1"}'
FULL_CONTRACT = '{"dim":16,"model":"test/Full"}'
OTHER_CONTRACT = '{"dim":16,"model":"another"}'
KINDS = KINDS_OF_TARGET["any"]

Name = Literal[
    "memory",
    "embedded",
    "embedded-ivf-sq8",
    "embedded-ivf-flat",
    "embedded-hnsw",
    "embedded-gpu",
    "milvus-lite",
    "milvus-server",
]
NAMES: tuple[Name, ...] = (
    "memory",
    "embedded",
    "embedded-ivf-sq8",
    "embedded-ivf-flat",
    "embedded-hnsw",
    *(("embedded-gpu",) if missing_for_gpu() is None else ()),
    "milvus-lite",
    "milvus-server",
)
DURABLE: tuple[Name, ...] = NAMES[1:]
APPROXIMATE: dict[Name, IndexType] = {
    "embedded-ivf-sq8": "ivf-sq8",
    "embedded-ivf-flat": "ivf-flat",
    "embedded-hnsw": "hnsw",
    "embedded-gpu": "ivf-sq8",
}
"""The embedded index where a few rows are enough for each type."""


@dataclass(frozen=True)
class Opener:
    """Opens one kind of index in one folder, or for one contract on a server, again and again."""

    name: Name
    folder: Path
    uri: str | None = None
    contract_json: str = CONTRACT

    async def __call__(self, contract_json: str | None = None) -> VectorIndex:
        backend: Backend = "memory" if self.name == "memory" else "milvus" if "milvus" in self.name else "embedded"
        options = EmbeddedOptions()
        if self.name in APPROXIMATE:
            device: Device = "gpu" if self.name == "embedded-gpu" else "cpu"
            options = EmbeddedOptions(APPROXIMATE[self.name], device, flat_limit=24, exact_limit=8, target_recall=1.0)
        return await open_index(
            backend,
            dim=DIM,
            contract_json=contract_json or self.contract_json,
            path=None if self.uri else self.folder / self.name,
            uri=self.uri,
            embedded=options,
            milvus=MilvusOptions(alias=f"tests_{zlib.crc32(self.contract_json.encode())}", consistency="session"),
        )


def opener_of(request: pytest.FixtureRequest, folder: Path, contract_json: str = CONTRACT) -> Opener:
    """Of the index that `request.param` names, which holds nothing yet."""
    if request.param != "milvus-server":
        return Opener(request.param, folder, contract_json=contract_json)
    opener = Opener(request.param, folder, request.getfixturevalue("milvus_server").uri, contract_json)
    asyncio.run(_emptied(opener))
    return opener


async def _emptied(opener: Opener) -> None:
    """A collection takes a server three seconds to make: tests use one after another, each from its beginning."""
    index = await opener()
    while page := await index.scan():
        await index.delete([record.id for record in page])
    await index.close()


async def settled(index: VectorIndex, name: Name) -> VectorIndex:
    """Waits until an index that is large enough for an approximate structure searches by it."""
    while (await index.health()).structure != APPROXIMATE.get(name, (await index.health()).structure):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return index


def unit(seed: int, dim: int = DIM) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def axis(i: int) -> Vector:
    """A vector whose products with others are exact in every order of summation."""
    return np.eye(DIM, dtype=np.float32)[i]


COLORS = ("red", "green", "蓝色", 'q"uo\\te', "two\nlines", "tab\tbed")
OCR_TEXTS = (None, "", "Platform 4\nto the Harbour", "城东面馆 100%", "a_b\\c STRASSE", "Ünïcode “q” ΟΔΟΣ İ ß")
TAGS = ("beach", "dog", "海滩", "a b")


def payload(i: int) -> Payload:
    """Every field takes several values and is sometimes absent; `mixed` has a type of its own in each third item."""
    metadata: dict[str, Any] = {"n": i % 10, "half": i / 2, "flag": i % 2 == 0, "año-1.x y": i % 3}
    if i % 4:
        metadata["color"] = COLORS[i % len(COLORS)]
    metadata["mixed"] = (i % 2, str(i % 2), bool(i % 2))[i % 3]
    kind = KINDS[i % 3]
    return Payload(
        kind=kind,
        text=None if kind == "image" else f"文字 {i}",
        media=None if kind == "text" else f"{i:064x}",
        mime=None if kind == "text" else ("image/jpeg", "image/png")[i % 2],
        width=0 if kind == "text" else 100 + i,
        height=0 if kind == "text" else 50 * (i % 5),
        source=("", "album/α.jpg", "https://example.org/x?y=1&z='2'")[i % 3],
        tags=TAGS[: i % 4],
        metadata=metadata,
        created_at=1_700_000_000.25 + i,
        ocr_text=None if kind == "text" else OCR_TEXTS[i % len(OCR_TEXTS)],
    )


def record(i: int, seed: int | None = None) -> Record:
    return Record(f"id-{i:03}", unit(i if seed is None else seed), payload(i))


COUNT = 60
RECORDS = [record(i) for i in range(COUNT)]


def assert_same_record(found: Record | None, expected: Record) -> None:
    assert found is not None
    assert found.id == expected.id
    np.testing.assert_array_equal(found.vector, expected.vector)
    assert found.payload == expected.payload


def assert_same_hits(found: Sequence[Hit], expected: Sequence[Hit]) -> None:
    assert [hit.id for hit in found] == [hit.id for hit in expected]
    assert [hit.payload for hit in found] == [hit.payload for hit in expected]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=2e-6)


FILTERS: tuple[dict[str, Any], ...] = (
    {"field": "color", "op": "eq", "value": "red"},
    {"field": "color", "op": "ne", "value": "red"},
    {"field": "metadata.color", "op": "in", "value": list(COLORS[2:])},
    {"field": "color", "op": "exists", "value": True},
    {"field": "color", "op": "exists", "value": False},
    {"field": "color", "op": "gte", "value": "q"},
    {"field": "n", "op": "in", "value": [1, 2.0, "3"]},
    {"field": "n", "op": "gt", "value": 6.5},
    {"not": {"field": "n", "op": "lte", "value": 3}},
    {"field": "half", "op": "lt", "value": 3},
    {"field": "año-1.x y", "op": "eq", "value": 2},
    {"field": "flag", "op": "eq", "value": True},
    {"not": {"field": "flag", "op": "eq", "value": True}},
    {"field": "mixed", "op": "eq", "value": 1},
    {"field": "mixed", "op": "eq", "value": True},
    {"field": "mixed", "op": "eq", "value": "1"},
    {"field": "mixed", "op": "ne", "value": 1},
    {"field": "mixed", "op": "gte", "value": "0"},
    {"field": "mixed", "op": "lt", "value": 1},
    {"field": "nowhere", "op": "eq", "value": 1},
    {"field": "nowhere", "op": "ne", "value": 1},
    {"field": "tags", "op": "any_of", "value": ["dog", "海滩"]},
    {"not": {"field": "tags", "op": "any_of", "value": ["beach"]}},
    {"field": "tags", "op": "exists"},
    {"field": "kind", "op": "eq", "value": "image"},
    {"field": "kind", "op": "eq", "value": 1},
    {"field": "mime", "op": "exists", "value": False},
    {"field": "mime", "op": "lt", "value": "image/k"},
    {"field": "mime", "op": "ne", "value": "image/png"},
    {"field": "media", "op": "eq", "value": f"{4:064x}"},
    {"field": "source", "op": "eq", "value": ""},
    {"field": "source", "op": "in", "value": ["https://example.org/x?y=1&z='2'"]},
    {"field": "width", "op": "gt", "value": 120.5},
    {"field": "width", "op": "in", "value": [0, 101, 102.5]},
    {"field": "width", "op": "in", "value": [101, -1e300, 1e19]},
    {"field": "width", "op": "lt", "value": 1e300},
    {"not": {"field": "width", "op": "gt", "value": 1e19}},
    {"field": "width", "op": "lt", "value": "200"},
    {"field": "height", "op": "lte", "value": 49.999},
    {"field": "height", "op": "gte", "value": 99.5},
    {"field": "created_at", "op": "gte", "value": 1_700_000_020.25},
    {"field": "created_at", "op": "eq", "value": 1_700_000_007.25},
    {"field": "id", "op": "in", "value": ["id-003", "id-004", "no such id"]},
    {"field": "id", "op": "gt", "value": "id-020"},
    {"and": [{"field": "kind", "value": "image"}, {"field": "n", "op": "lt", "value": 5}]},
    {"or": [{"field": "color", "value": "green"}, {"not": {"field": "tags", "op": "exists"}}]},
    {"not": {"or": [{"field": "flag", "value": True}, {"and": [{"field": "color", "value": "red"}]}]}},
    {"field": "color", "op": "eq", "value": '" or id != "'},
    {"field": "text", "op": "contains", "value": "文字 1"},
    {"field": "text", "op": "contains", "value": "2"},
    {"field": "text", "op": "exists"},
    {"field": "text", "op": "exists", "value": False},
    {"field": "ocr_text", "op": "contains", "value": "HARBOUR"},
    {"field": "ocr_text", "op": "contains", "value": "4\nto"},
    {"field": "ocr_text", "op": "contains", "value": "东面"},
    {"field": "ocr_text", "op": "contains", "value": "0%"},
    {"field": "ocr_text", "op": "contains", "value": "%"},
    {"field": "ocr_text", "op": "contains", "value": "_B\\"},
    {"field": "ocr_text", "op": "contains", "value": "ünï"},
    {"field": "ocr_text", "op": "contains", "value": "οδος"},
    {"field": "ocr_text", "op": "contains", "value": "ß"},
    {"field": "ocr_text", "op": "contains", "value": '") or id != ("'},
    {"not": {"field": "ocr_text", "op": "contains", "value": "a"}},
    {"field": "ocr_text", "op": "exists"},
    {"field": "ocr_text", "op": "exists", "value": False},
    {"and": [{"field": "ocr_text", "op": "contains", "value": "_"}, {"field": "n", "op": "lt", "value": 8}]},
    {"and": [{"field": "ocr_text", "op": "contains", "value": "%"}, {"not": {"field": "mixed", "value": 1}}]},
)

_text = st.sampled_from([*COLORS, *TAGS, "0", "1", "", "image", "image/png", "id-007", '") or ("', "\x01", "🦊"])
_number = st.sampled_from([0, 1, -1, 2.5, 49.999, 100, 107, 1.7e9 + 7.25, 1e-7, -1e300, MAX_INT]) | st.integers(-3, 12)
_fields = st.sampled_from(
    ["id", "kind", "source", "media", "mime", "width", "height", "created_at"]
    + [f"metadata.{key}" for key in ("n", "half", "flag", "color", "mixed", "nowhere", "año-1.x y", "kind")]
)
_leaves = st.one_of(
    st.builds(In, _fields, st.lists(_text | _number | st.booleans(), min_size=1, max_size=4).map(tuple)),
    st.builds(In, st.just("tags"), st.lists(_text, min_size=1, max_size=3).map(tuple)),
    st.builds(Range, _fields, st.sampled_from(["gt", "gte", "lt", "lte"]), _text | _number),
    st.builds(
        Contains, st.sampled_from(TEXTS), st.sampled_from(["文字", "字 1", "a", "%", "_", "\\", '"', "\n", "ΟΣ"])
    ),
    st.builds(Exists, _fields | st.sampled_from(["tags", *TEXTS])),
)


def _branches(filters: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    terms = st.lists(filters, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, filters), st.builds(And, terms), st.builds(Or, terms))


filters: st.SearchStrategy[Filter] = st.recursive(_leaves, _branches, max_leaves=6)
"""Any filter over the fields that `payload` fills, and some that it does not."""
