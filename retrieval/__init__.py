"""Indexes of vectors: what they promise (`base`), what goes wrong (`errors`), and how one is opened (`open`).

Knows nothing of encoders, Ray or HTTP, and imports no vector library until an index is opened.
"""

from retrieval.base import Hit, IndexHealth, Kind, Payload, Query, Record, Target, TextQuery, Vector, VectorIndex
from retrieval.errors import RetrievalError
from retrieval.filters import Filter, parse_filter
from retrieval.media import MediaStore
from retrieval.open import EmbeddedOptions, MilvusOptions, open_index

__all__ = [
    "EmbeddedOptions",
    "Filter",
    "Hit",
    "IndexHealth",
    "Kind",
    "MediaStore",
    "MilvusOptions",
    "Payload",
    "Query",
    "Record",
    "RetrievalError",
    "Target",
    "TextQuery",
    "Vector",
    "VectorIndex",
    "open_index",
    "parse_filter",
]
