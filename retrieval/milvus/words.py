"""Search by words in a Lite file: BM25 over tokens that are kept in memory, read from the file when first asked.

Lite has a BM25 function, and it is not used. It weighs a word by how rare it is within each of its segments, rows that
were replaced or deleted included (3.2.2; a comment in its engine says so), so that the order of two items depends on
when each was written. A Lite file has one owner and is for 20,000 rows or so: what it holds can be counted here,
exactly as every other index counts it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from retrieval.base import Payload
from retrieval.bm25 import bm25
from retrieval.lexical import terms, text_of, tokens
from retrieval.ranking import DECIMALS


class Words:
    """The tokens of every item. Its owner says what it writes, in the order in which it writes it."""

    def __init__(self, walk: Callable[[], Iterable[tuple[str, Payload]]]) -> None:
        self._walk = walk
        self._lock = threading.Lock()
        self._tokens: dict[str, list[str]] | None = None

    def replaced(self, items: Iterable[tuple[str, Payload]]) -> None:
        with self._lock:
            if self._tokens is not None:
                self._tokens |= {id: tokens(text_of(payload)) for id, payload in items}

    def removed(self, ids: Iterable[str]) -> None:
        with self._lock:
            if self._tokens is not None:
                for id in ids:
                    self._tokens.pop(id, None)

    def forget(self) -> None:
        """After a write that may have happened or not."""
        with self._lock:
            self._tokens = None

    def load(self) -> None:
        """Reads what was not read yet. Nothing may be written meanwhile."""
        with self._lock:
            if self._tokens is None:
                self._tokens = {id: tokens(text_of(payload)) for id, payload in self._walk()}

    def best(self, text: str) -> list[tuple[str, float]]:
        """Ids and scores of all items that hold a word of `text`, best first, ties by id."""
        with self._lock:
            counted: dict[str, Sequence[str]] = dict(self._tokens or {})
        found = bm25(terms(text), counted)
        return sorted(((id, round(score, DECIMALS)) for id, score in found.items()), key=lambda one: (-one[1], one[0]))
