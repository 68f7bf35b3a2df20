"""Queries as people write them, turned into what an encoder was made for."""

from encoders.queries.rewrite import Prompt, Rewrite, prompt_for, rewrite_query
from encoders.queries.structure import StructuredQuery, structure_query

__all__ = ["Prompt", "Rewrite", "StructuredQuery", "prompt_for", "rewrite_query", "structure_query"]
