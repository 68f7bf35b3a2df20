"""A search as a person asks for it, as the body of `POST /v1/search`."""

from __future__ import annotations

from dataclasses import dataclass, field

from page.api import DEFAULT, Json, as_base64
from page.filter_form import FormFault
from page.words import Words

NEGATIVE_WEIGHT = -0.5
"""Of each thing that hits should be unlike, beside what is asked for with a weight of 1: as strong as that it would
say more of what is found than the query does."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look, for what, and how hits are shown."""

    collection: str = DEFAULT
    target: str = "any"
    top_k: int = 12
    filter: Json | None = None
    fold: bool = False
    """Near-duplicates become one hit."""

    def fields(self) -> Json:
        """As the API's fields; what is as the API has it anyway is left out."""
        fields: Json = {"collection": self.collection, "target": self.target, "top_k": self.top_k}
        fields |= {} if self.filter is None else {"filter": self.filter}
        return fields | ({"group_duplicates": True} if self.fold else {})


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: words, an image or both, and what hits should be unlike."""

    text: str = ""
    image: bytes | None = None
    image_share: float = 0.5
    """In 0…1; the words have the rest. It counts where both are given and vectors are compared."""
    negatives: tuple[str, ...] = ()
    mode: str = "dense"
    scope: Scope = field(default_factory=Scope)

    def body(self, words: Words) -> tuple[Json, bytes | None]:
        """The fields, and the image where it goes beside them as a file. Raises FormFault for what cannot be asked."""
        text = self.text.strip()
        if not text and self.image is None:
            raise FormFault(words("search.nothing_asked"))
        if self.negatives and self.mode != "dense":
            raise FormFault(words("search.needs_meaning"))
        fields = {"mode": self.mode} | self.scope.fields()
        if self.mode == "dense" and (self.negatives or (text and self.image is not None)):
            return {"mix": self._mix(text)} | fields, None
        return ({"text": text} if text else {}) | fields, self.image

    def _mix(self, text: str) -> list[Json]:
        both = bool(text) and self.image is not None
        parts: list[Json] = []
        if text:
            parts.append({"text": text, "weight": round(1 - self.image_share, 2) if both else 1.0})
        if self.image is not None:
            parts.append({"image": as_base64(self.image), "weight": self.image_share if both else 1.0})
        return parts + [{"text": negative, "weight": NEGATIVE_WEIGHT} for negative in self.negatives]
