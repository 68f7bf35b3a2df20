"""Queries as people write them, turned into what an encoder was made for."""

from encoders.queries.base import MAX_QUERY_CHARS, QueryStructurer, Structured, StructuredQuery, StructurerInfo
from encoders.queries.rewrite import Prompt, Rewrite, prompt_for, render_query, rewrite_query
from encoders.queries.structure import STYLES, RuleStructurer, structure_query

__all__ = [
    "MAX_QUERY_CHARS",
    "STYLES",
    "Prompt",
    "QueryStructurer",
    "Rewrite",
    "RuleStructurer",
    "Structured",
    "StructuredQuery",
    "StructurerInfo",
    "prompt_for",
    "render_query",
    "rewrite_query",
    "structure_query",
]
