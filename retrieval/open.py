"""Opening an index by name. The one place that knows which back ends there are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from retrieval.base import VectorIndex

Backend: TypeAlias = Literal["memory", "embedded", "milvus"]


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    flat_limit: int = 20_000
    """Rows up to which every query is compared with every row; above, an inverted file (IVF-SQ8) is built."""
    exact_limit: int = 50_000
    """Rows passing a filter up to which they are compared exactly."""
    target_recall: float = 0.98
    """What share of the 10, 100 and 1000 nearest the inverted file is tuned to find; at 1 it reads every list."""


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    alias: str = "crossray"
    """The name that points at the collection of the moment. Whoever has several vector contracts names several."""
    token: str = ""
    """`user:password` or an API key, for a server."""
    deadline_s: float = 10.0
    """For one call."""


async def open_index(
    backend: Backend,
    *,
    dim: int,
    contract_json: str,
    path: Path | None = None,
    uri: str | None = None,
    embedded: EmbeddedOptions = EmbeddedOptions(),
    milvus: MilvusOptions = MilvusOptions(),
) -> VectorIndex:
    """An index for vectors of `dim` columns that were made under `contract_json`.

    `path` is a folder: the embedded index's, or the one where Milvus Lite keeps `milvus.db`. `uri` names a Milvus
    server. Raises SpaceMismatch where the index holds vectors of another contract, IndexLocked, IncompatibleIndex,
    IndexUnavailable, StorageFull, MissingExtra.
    """
    if backend == "memory":
        from retrieval.memory import MemoryIndex

        return MemoryIndex(dim)
    if backend == "embedded":
        from retrieval.embedded import EmbeddedIndex

        if path is None:
            raise ValueError("the embedded index needs a path")
        return await asyncio.to_thread(
            EmbeddedIndex, path, dim, contract_json, embedded.flat_limit, embedded.exact_limit, embedded.target_recall
        )
    from retrieval.milvus import MilvusIndex
    from retrieval.milvus.connection import MilvusConnection

    def connect() -> VectorIndex:
        connection = MilvusConnection(path, uri, milvus.token, milvus.deadline_s)
        try:
            return MilvusIndex(connection, dim, contract_json, milvus.alias)
        except BaseException:
            connection.close()
            raise

    return await asyncio.to_thread(connect)
