"""The embedding cache: vectors by content and vector contract, so that nothing is encoded twice.

Knows nothing of encoders, Ray or HTTP: a key in, a vector or a miss out.
"""

from encoders.cache.base import EmbeddingCache
from encoders.cache.guard import GuardedCache, GuardLimits
from encoders.cache.keys import cache_key
from encoders.cache.open import LOOKUP_TIMEOUT_S, CacheBackend, open_cache
from encoders.cache.recent import RecentVectors
from encoders.cache.redis import RedisCache
from encoders.cache.sqlite import SqliteCache

__all__ = [
    "LOOKUP_TIMEOUT_S",
    "CacheBackend",
    "EmbeddingCache",
    "GuardLimits",
    "GuardedCache",
    "RecentVectors",
    "RedisCache",
    "SqliteCache",
    "cache_key",
    "open_cache",
]
