"""Opens a cache by its back end's name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from encoders.cache.base import EmbeddingCache
from encoders.cache.redis import RedisCache
from encoders.cache.sqlite import SqliteCache

CacheBackend: TypeAlias = Literal["sqlite", "redis"]

LOOKUP_TIMEOUT_S: dict[CacheBackend, float] = {"sqlite": 0.5, "redis": 0.05}
"""After which a lookup is a miss. A local file is late only when the machine is, and then encoding is later still."""


def open_cache(backend: CacheBackend, dim: int, *, path: Path, max_bytes: int, url: str | None) -> EmbeddingCache:
    """A cache of vectors of `dim` columns: `path` and `max_bytes` are SQLite's, `url` is Redis's.

    Neither is asked for anything before its first use, so that one that is down does not keep anybody from starting.
    Raises MissingExtra, and ValueError for Redis without a URL.
    """
    if backend == "sqlite":
        return SqliteCache(path, dim, max_bytes=max_bytes)
    if not url:
        raise ValueError("the redis cache needs a URL: set cache.url")
    return RedisCache(url, dim)
