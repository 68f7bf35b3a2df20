"""The reranker contract: a query and a document in, a relevance out.

An encoder looks at each input alone; a reranker reads the pair, which is dearer and better. Like an encoder it is two
halves: a *preparer* (CPU, no weights, pickles) reads a query once and makes one item of it and each document, and
`forward` scores a batch of items. Pairs of different queries share a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from encoders.base import EncoderInput, Prepared

Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """What a reranker is. Scores of two may be compared only when their fingerprints are equal."""

    name: str
    model: str
    """Checkpoint id, or the name of a built-in reranker."""
    revision: str
    settings: str
    """Whatever else changes a score: precision, pixel budget, prompt."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits, equal exactly when every field is (up to a 64-bit collision)."""
        parts = "\0".join((self.name, self.model, self.revision, self.settings))
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@runtime_checkable
class PairPreparer(Protocol):
    """Turns a query and a document into a prepared item. Pickles; safe to call from several threads and processes."""

    def query(self, query: EncoderInput, instruction: str | None = None) -> Any:
        """What `__call__` takes as the query of each pair: decoded and resized, and picklable.

        Raises InputError, with `query` as its `param`, for a query that cannot be read.
        """
        ...

    def __call__(self, query: Any, document: EncoderInput) -> Prepared:
        """Raises InputError, with `document` as its `param`, for a document that cannot be read beside this query."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """A model that says how well a document answers a query."""

    @property
    def info(self) -> RerankerInfo: ...

    @property
    def preparer(self) -> PairPreparer: ...

    def forward(self, batch: Sequence[Prepared]) -> Scores:
        """`(n,)` float32 in 0…1, higher is more relevant, in the order of `batch`. Called by one thread at a time.

        Raises OutOfMemory for pairs that do not fit on the device even alone.
        """
        ...

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        ...


def score(
    reranker: Reranker, query: EncoderInput, documents: Sequence[EncoderInput], instruction: str | None = None
) -> Scores:
    """Prepare and score in this thread: `(len(documents),)` float32, in order. Raises the first InputError.

    Raises OutOfMemory for documents that do not fit on the device alone.
    """
    if not documents:
        return np.zeros(0, dtype=np.float32)
    asked = reranker.preparer.query(query, instruction)
    return reranker.forward([reranker.preparer(asked, document) for document in documents])
