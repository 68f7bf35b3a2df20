"""What embeddings, matches and reranks answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crossray_client.answers.items import Failure
from crossray_client.errors import ApiError


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
