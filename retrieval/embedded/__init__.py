"""The default index: SQLite is the record of truth, and what searches is derived from it and kept in memory."""

from retrieval.embedded.index import EmbeddedIndex

__all__ = ["EmbeddedIndex"]
