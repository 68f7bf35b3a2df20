"""A structurer without a model, for tests: the subject is the query's last words. The work is slept, not computed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from encoders.errors import Unstructured
from encoders.queries.base import Structured, StructuredQuery, StructurerInfo, language_of

_WORDS = 2


class FakeStructurer:
    """Sleeps `work_s` a call, then reads the last two words of each query as its subject."""

    def __init__(self, work_s: float = 0.0, refuse: str | None = None) -> None:
        """`refuse` is a mark: a query that holds it has no structure."""
        self._work_s = work_s
        self._refuse = refuse

    @property
    def info(self) -> StructurerInfo:
        return StructurerInfo("fake-structurer", "fake-structurer", "1", "last-words")

    def structure(self, queries: Sequence[str]) -> list[Structured]:
        time.sleep(self._work_s)
        return [self._one(query) for query in queries]

    def _one(self, query: str) -> Structured:
        words = query.split()
        if not words or (self._refuse is not None and self._refuse in query):
            return Unstructured("the model found no subject in the query")
        return StructuredQuery(" ".join(words[-_WORDS:]), None, language_of(query))

    def close(self) -> None:
        """Nothing to free."""
