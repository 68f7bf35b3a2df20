"""FAISS, imported when an index is opened."""

from __future__ import annotations

from typing import Any

from retrieval.errors import MissingExtra


def load_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("faiss-cpu") from error
    return faiss
