"""The index contract: records in, exact or approximate nearest neighbours out.

A record is an item's vector and everything a search answers with. Similarity is the inner product of unit vectors,
which is their cosine. This module does not know which encoder made the vectors; it holds on to their contract as text
and refuses to mix two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrieval.filters import Filter
from retrieval.pickled import pickled_by_fields

Vector: TypeAlias = NDArray[np.float32]
Kind: TypeAlias = Literal["text", "image", "image_text"]
Target: TypeAlias = Literal["image", "text", "any"]
Scalar: TypeAlias = str | int | float | bool
Metadata: TypeAlias = Mapping[str, Scalar]

KINDS_OF_TARGET: dict[Target, tuple[Kind, ...]] = {
    "image": ("image", "image_text"),
    "text": ("text", "image_text"),
    "any": ("text", "image", "image_text"),
}


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Payload:
    """What is known of an item beside its vector.

    `media` is the sha256 of the stored file, `mime` its sniffed type, `created_at` seconds since the epoch.
    """

    kind: Kind
    text: str | None = None
    media: str | None = None
    mime: str | None = None
    width: int = 0
    height: int = 0
    source: str = ""
    """Where the item came from, as its owner named it (a file name, a URL). Never opened by Crossray."""
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    created_at: float = 0.0
    ocr_text: str | None = None
    """Text that was read off the image; None until it was read, empty where there was none to read."""


@pickled_by_fields
@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One item: `id` (1 to 128 characters), its unit vector `(dim,)` float32, and its payload."""

    id: str
    vector: Vector
    payload: Payload


@pickled_by_fields
@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """One search: a unit vector `(dim,)`, how many hits, what kinds, and which rows are allowed."""

    vector: Vector
    top_k: int
    target: Target = "any"
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class TextQuery:
    """One search by words: how many hits, what kinds, and which rows are allowed."""

    text: str
    top_k: int
    target: Target = "any"
    filter: Filter | None = None


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: `score` is the cosine, -1 to 1, or in a search by words BM25, above 0."""

    id: str
    score: float
    payload: Payload


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Rows drawn at random, each as likely as the others: vectors `(n, dim)` and, in their order, the items' kinds."""

    vectors: Vector
    kinds: tuple[Kind, ...]

    @classmethod
    def of(cls, records: Sequence[Record], dim: int) -> Sample:
        rows = [record.vector for record in records]
        kinds = tuple(record.payload.kind for record in records)
        return cls(np.stack(rows) if rows else np.empty((0, dim), dtype=np.float32), kinds)


@dataclass(frozen=True, slots=True)
class IndexHealth:
    """What an index says of itself. `detail` is for people."""

    ready: bool
    backend: str
    count: int
    structure: str
    """What searches now: `flat`, `ivf-sq8`, `hnsw`, …"""
    detail: str = ""


@runtime_checkable
class VectorIndex(Protocol):
    """Where vectors live. Every method may be called concurrently on one event loop.

    Errors: `retrieval.errors`. A method that returns has done what it says: an upsert that returned is on disk for
    every durable index.
    """

    @property
    def dim(self) -> int: ...

    async def upsert(self, records: Sequence[Record]) -> None:
        """Insert or replace by id; all or none. A vector that is not finite, not unit or not `(dim,)` is refused."""
        ...

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        """In the order of `ids`; None where there is no such id."""
        ...

    async def delete(self, ids: Sequence[str]) -> int:
        """How many there were."""
        ...

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        """Per query at most `top_k` hits, best first, ties by id.

        Sees every upsert that returned before the call. The one exception is a Milvus server that is asked for less
        (`MilvusOptions.consistency`): there a search may miss what was written in the last moments, through this
        object (`bounded`) or through another one on the same collection (`session`). The other methods see every
        write of this object on every back end.
        """
        ...

    async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
        """Per query at most `top_k` items of which a text or what was read off an image holds one of its words, best
        first by BM25, ties by id. Raises Unsupported where the back end cannot."""
        ...

    async def catch_up(self) -> None:
        """Reads by id, counts and walks after it see every write that returned before it, of whichever object on the
        same rows. Only a Milvus server, of which there may be several, has anything to do."""
        ...

    def answers_at_once(self, query: Query) -> bool:
        """False where `search` would read much for this query first, and keep others of its call waiting."""
        ...

    async def count(self, filter: Filter | None = None) -> int: ...

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        """Up to `limit` records with `id > after`, by id: a page of a full walk."""
        ...

    async def sample(self, limit: int) -> Sample:
        """Up to `limit` items, other ones each time; all of them where there are no more."""
        ...

    async def health(self) -> IndexHealth: ...

    async def close(self) -> None:
        """Lets go of files and sockets. Calling it twice is fine."""
        ...
