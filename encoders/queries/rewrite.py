"""A structured query as the words that an encoder was made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from encoders.queries.base import Language, StructuredQuery
from encoders.queries.structure import structure_query

Rewrite: TypeAlias = Literal["off", "template", "model"]
REWRITES: tuple[Rewrite, ...] = ("off", "template", "model")
"""Not at all, from the structure that the rules find, or from the one that a QueryStructurer with a model finds."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What stands around a subject that no style was asked for, by language; `{}` is its place."""

    en: str = "{}"
    zh: str = "{}"

    def of(self, language: Language) -> str:
        return self.en if language == "en" else self.zh


PLAIN = Prompt()
CAPTION = Prompt(en="a photo of {}", zh="{}的照片")
"""CLIP's own (Radford et al., 2021, section 3.1.4): its texts were captions, and a bare noun is none."""

_PROMPTS = {"dual-tower": CAPTION}
_ZH = {
    "painting": "油画",
    "watercolour": "水彩画",
    "drawing": "图画",
    "sketch": "素描",
    "cartoon": "漫画",
    "illustration": "插画",
}


def prompt_for(encoder: str) -> Prompt:
    """The prompt of an encoder by its registered name. Those with instructions of their own take the bare subject."""
    return _PROMPTS.get(encoder, PLAIN)


def rewrite_query(query: str, prompt: Prompt) -> str:
    """The query without what merely asks, by the rules, in the encoder's prompt."""
    return render_query(structure_query(query), prompt)


def render_query(structured: StructuredQuery, prompt: Prompt) -> str:
    """What a structure asks for in the encoder's prompt, whoever found the structure."""
    if structured.style is not None:
        return _styled(structured, structured.style)
    return prompt.of(structured.language).replace("{}", structured.subject)


def _styled(query: StructuredQuery, style: str) -> str:
    if query.language == "zh":
        return f"{query.subject}的{_ZH[style]}"
    return f"{'an' if style[0] in 'aeiou' else 'a'} {style} of {query.subject}"
