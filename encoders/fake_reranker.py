"""A deterministic reranker without a model, for tests: how many of the query's words a document has.

An image stands for the colours it is made of, as with the fake encoder. The work is slept, not computed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.base import EncoderInput, Prepared
from encoders.errors import InputError
from encoders.fake import FakePreparer
from encoders.images import ImageLimits
from encoders.reranking import RerankerInfo, Scores

_DIM = 64


@dataclass(frozen=True, slots=True)
class FakeQuery:
    """A query's half of its pairs. `words` is None for a query with an image."""

    placed: Prepared
    words: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class FakePairPreparer:
    """Scores the pair already: what is left for `forward` is to sleep."""

    limits: ImageLimits
    refuse: str | None

    def query(self, query: EncoderInput, instruction: str | None = None) -> FakeQuery:
        """The instruction's words are asked for too."""
        placed = self._placed(query, "query")
        words = frozenset(f"{query.text} {instruction or ''}".lower().split()) if query.modality == "text" else None
        return FakeQuery(placed, words)

    def __call__(self, query: FakeQuery, document: EncoderInput) -> Prepared:
        """Words in common where both are texts, colours in common where one is an image."""
        offered = self._placed(document, "document")
        if query.words is not None and document.modality == "text":
            score = len(query.words & set(str(document.text).lower().split())) / len(query.words)
        else:
            score = (1.0 + float(query.placed.payload @ offered.payload)) / 2
        return Prepared(score, query.placed.cost + offered.cost, document.modality)

    def _placed(self, item: EncoderInput, param: str) -> Prepared:
        try:
            return FakePreparer(_DIM, self.limits, self.refuse)(item, "query")
        except InputError as error:
            raise InputError(error.message, error.code, param) from error


class FakeReranker:
    """A forward call sleeps `work_s` and then `work_per_pair_s` for each pair."""

    def __init__(
        self,
        work_s: float = 0.0,
        work_per_pair_s: float = 0.0,
        refuse: str | None = None,
        limits: ImageLimits | None = None,
    ) -> None:
        """`refuse` is a mark: a text that holds it raises InputError."""
        self._work_s = work_s
        self._work_per_pair_s = work_per_pair_s
        self._preparer = FakePairPreparer(limits or ImageLimits(), refuse)
        self._info = RerankerInfo("fake-reranker", "fake-reranker", "1", "word-overlap")

    @property
    def info(self) -> RerankerInfo:
        return self._info

    @property
    def preparer(self) -> FakePairPreparer:
        return self._preparer

    def forward(self, batch: Sequence[Prepared]) -> Scores:
        """`(n,)` float32, after the work was slept."""
        time.sleep(self._work_s + self._work_per_pair_s * len(batch))
        return np.asarray([prepared.payload for prepared in batch], dtype=np.float32)

    def close(self) -> None:
        """Nothing to free."""
