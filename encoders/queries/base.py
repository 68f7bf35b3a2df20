"""The query structurer contract: queries as people write them in, what they ask for out.

The rules of `structure` are one, a model is another; `rewrite` puts what either found into an encoder's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from encoders.errors import Unstructured

Language: TypeAlias = Literal["en", "zh"]

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
"""A Chinese character."""

MAX_QUERY_CHARS = 400
"""Longer queries are not put to a model: they are descriptions already, and cost as much as many."""


@dataclass(frozen=True, slots=True)
class StructuredQuery:
    """What a query asks for. `style` is None for a photo, which is what most ask for and most do not say."""

    subject: str
    style: str | None
    """One of `encoders.queries.STYLES`, or None."""
    language: Language


Structured: TypeAlias = StructuredQuery | Unstructured
"""What became of one query: its structure, or why there is none."""


@dataclass(frozen=True, slots=True)
class StructurerInfo:
    """What a structurer is."""

    name: str
    model: str
    """Checkpoint id, or the name of a built-in structurer."""
    revision: str
    settings: str
    """Whatever else changes an answer: precision, prompt."""


@runtime_checkable
class QueryStructurer(Protocol):
    """Something that reads what a query asks for. The same query always gives the same answer."""

    @property
    def info(self) -> StructurerInfo: ...

    def structure(self, queries: Sequence[str]) -> list[Structured]:
        """One answer a query, in order, that does not depend on its neighbours. Called by one thread at a time."""
        ...

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        ...


def language_of(text: str) -> Language:
    """Chinese where there is a Chinese character."""
    return "zh" if HAN.search(text) else "en"
