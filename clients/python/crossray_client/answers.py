"""What the API answers, a dataclass for each body. A field that a newer server adds is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crossray_client.errors import ApiError
from crossray_client.inputs import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFields:
    """What is told of an item wherever one is. `kind` is text, image or image_text; `created_at` is in seconds since
    the epoch; `ocr_text` was read off the image, None until then."""

    id: str
    kind: str
    text: str | None = None
    source: str = ""
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Scalar] = field(default_factory=dict)
    mime: str | None = None
    width: int = 0
    height: int = 0
    created_at: float = 0.0
    ocr_text: str | None = None
    image_url: str | None = None
    thumbnail_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(ItemFields):
    """An item that a search found. `score` is the cosine, `text_score` is BM25 where words found it, `ranks` its
    places from 1 in each ranking that was fused, `rerank_score` the reranker's relevance in 0…1 where it looked."""

    score: float | None = None
    text_score: float | None = None
    ranks: dict[str, int] = field(default_factory=dict)
    rerank_score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(ItemFields):
    """A stored item; `vector` is there only where it was asked for."""

    media: str | None = None
    vector: list[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage of a search did, to how many hits, and why not more."""

    name: str
    did: str
    ms: float
    depth: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What the query asks for, and who read it."""

    by: str
    subject: str
    style: str | None
    language: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Hits, best first. `rewritten_query` is the text that was encoded where it is not the one sent."""

    hits: list[Hit]
    target: str
    rewritten_query: str | None = None
    rewrite: Rewrite | None = None
    model: str
    fingerprint: str
    stages: list[Stage] = field(default_factory=list)
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A write that is on disk. `created` is false where the content was there: also where an attempt whose answer
    was lost had stored it."""

    id: str
    created: bool
    kind: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One input of several that failed alone."""

    message: str
    type: str
    code: str
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """One result an item, in order."""

    results: list[Stored | Failure]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """A page of a walk by id; `next` is the `after` of the next page, None at the end."""

    items: list[Item]
    next: str | None
    count: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Which of the ids exist, in order."""

    existing: list[str]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """The item is gone."""

    id: str
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """The vector of input `index`, or why there is none: one of the two is None."""

    index: int
    vector: list[float] | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """One embedding an input, in order. `fingerprint` names the embedding space."""

    data: list[Embedding]
    model: str
    fingerprint: str | None

    def vectors(self) -> list[list[float]]:
        """All vectors. Raises ApiError for the first input that failed."""
        return list(self._vectors())

    def _vectors(self) -> Iterator[list[float]]:
        for one in self.data:
            if one.failure is not None or one.vector is None:
                failure = one.failure or Failure(message="no vector", type="", code="http_error")
                raise ApiError(400, failure.code, failure.message, failure.param, failure.type)
            yield one.vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """`cosine[i][j]` is text i against image j; `probability` likewise, None where the encoder is not calibrated."""

    cosine: list[list[float]]
    probability: list[list[float]] | None
    model: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedDocument:
    """What of a document comes back."""

    text: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """`index` is the document's place in the request; `relevance_score` is in 0…1."""

    index: int
    relevance_score: float
    document: RankedDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranked:
    """Documents, best first. `fingerprint` is the reranker's."""

    id: str
    model: str
    fingerprint: str
    results: list[Ranked]
    meta: dict[str, Any]
    usage: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An encoder that runs: what it takes, and the contract and fingerprint of its vectors."""

    id: str
    description: str
    dim: int
    dimensions: list[int]
    modalities: list[str]
    languages: list[str]
    max_text_chars: int
    contract: dict[str, str | int]
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The first is the one whose vectors the collection holds."""

    data: list[Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`status` is ok, starting or degraded."""

    status: str
    encoder: str | None = None
    index: str | None = None
    count: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A file as the server gives it back."""

    content: bytes
    mime: str
