"""The embedding cache in Redis, shared among nodes. How long entries live and which go first is the server's business:
set its `maxmemory` and `maxmemory-policy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from encoders.base import Vectors
from encoders.cache.entries import pack, unpack
from encoders.extras import require

PREFIX = b"crossray:"


class RedisCache:
    """An EmbeddingCache of vectors of `dim` columns in the Redis at `url` (redis://, rediss:// or unix://).

    Connects when it is first used. Raises MissingExtra, and ValueError for a URL that is none. Calls raise
    `redis.RedisError` or OSError, at the latest after `timeout_s` a step.
    """

    def __init__(self, url: str, dim: int, *, connect_timeout_s: float = 0.05, timeout_s: float = 1.0) -> None:
        redis: Any = require("redis.asyncio", "cache")
        retry: Any = require("redis.asyncio.retry", "cache")
        backoff: Any = require("redis.backoff", "cache")
        self._dim = dim
        self._client = redis.Redis.from_url(
            url,
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=timeout_s,
            # A lookup that failed once is late already: encoding is the retry.
            retry=retry.Retry(backoff.NoBackoff(), 0),
            decode_responses=False,
            protocol=2,
        )

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        if not keys:
            return []
        found = await self._client.mget([PREFIX + key for key in keys])
        return [unpack(key, value, self._dim) for key, value in zip(keys, found, strict=True)]

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        if entries:
            await self._client.mset({PREFIX + key: pack(key, vector) for key, vector in entries.items()})

    async def close(self) -> None:
        await asyncio.shield(self._client.aclose())
