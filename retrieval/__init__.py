"""Indexes of vectors: what they promise (`base`), what goes wrong (`errors`), and how one is opened (`open`).

Knows nothing of encoders, Ray or HTTP, and imports no vector library until an index is opened.
"""

from retrieval.base import (
    Hit,
    IndexHealth,
    Kind,
    Payload,
    Query,
    Record,
    Sample,
    Target,
    TextQuery,
    Vector,
    VectorIndex,
)
from retrieval.errors import RetrievalError
from retrieval.filters import Filter, parse_filter
from retrieval.kept import KeptIndex
from retrieval.media import FolderMedia, MediaOptions, MediaStore, media_address, open_media
from retrieval.open import EmbeddedOptions, MilvusOptions, open_index

__all__ = [
    "EmbeddedOptions",
    "Filter",
    "FolderMedia",
    "Hit",
    "IndexHealth",
    "KeptIndex",
    "Kind",
    "MediaOptions",
    "MediaStore",
    "MilvusOptions",
    "Payload",
    "Query",
    "Record",
    "RetrievalError",
    "Sample",
    "Target",
    "TextQuery",
    "Vector",
    "VectorIndex",
    "media_address",
    "open_index",
    "open_media",
    "parse_filter",
]
