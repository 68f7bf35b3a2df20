"""What the page says, in English and in Chinese. Messages of the API itself are shown as it wrote them, in English; in
Chinese what their code means stands before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from page.vocabulary.faults import CAUSES
from page.vocabulary.frame import FRAME
from page.vocabulary.indexing import INDEXING
from page.vocabulary.mapping import MAPPING
from page.vocabulary.search import SEARCH
from page.vocabulary.status import STATUS
from page.vocabulary.vectors import VECTORS

Language = Literal["en", "zh"]

WORDS: dict[str, tuple[str, str]] = FRAME | SEARCH | INDEXING | VECTORS | MAPPING | STATUS


@dataclass(frozen=True, slots=True)
class Words:
    """The page's words in one language."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The words for a key, its `{names}` filled in. Raises KeyError for a key that is not there."""
        words = WORDS[key][0 if self.language == "en" else 1]
        return words.format(**values) if values else words

    def cause(self, code: str) -> str:
        """What an error of the API with this code is about; empty where its message alone says it."""
        return CAUSES.get(code, "") if self.language == "zh" else ""

    def stage(self, name: str) -> str:
        """A stage of a search; one that this page has no words for keeps the API's name."""
        return self(f"stage.{name}") if f"stage.{name}" in WORDS else name
