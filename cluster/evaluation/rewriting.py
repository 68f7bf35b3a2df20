"""Captions in the words that a query rewriting makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from encoders.queries import Prompt, QueryStructurer, StructuredQuery, render_query, structure_query


@dataclass(frozen=True, slots=True)
class RewrittenCaptions:
    """`texts` in the order of the captions; `left_to_rules` of them had no structure, as in a search."""

    texts: list[str]
    left_to_rules: int


def rewrite_captions(
    structurer: QueryStructurer, captions: Sequence[str], prompt: Prompt, *, batch_size: int
) -> RewrittenCaptions:
    """What a search without a deadline would encode for each caption."""
    texts: list[str] = []
    left = 0
    for start in range(0, len(captions), batch_size):
        batch = captions[start : start + batch_size]
        for caption, found in zip(batch, structurer.structure(batch), strict=True):
            structured = found if isinstance(found, StructuredQuery) else structure_query(caption)
            left += structured is not found
            texts.append(render_query(structured, prompt))
    return RewrittenCaptions(texts, left)
