"""Opening an index by name. The one place that knows which back ends there are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from retrieval.base import VectorIndex

Backend: TypeAlias = Literal["memory", "embedded", "milvus"]
IndexType: TypeAlias = Literal["auto", "flat", "ivf-flat", "ivf-sq8", "hnsw"]
Device: TypeAlias = Literal["cpu", "gpu"]
Consistency: TypeAlias = Literal["bounded", "session", "strong"]


@dataclass(frozen=True, slots=True)
class EmbeddedOptions:
    type: IndexType = "auto"
    """What searches above `flat_limit` rows: `flat` compares with every row at any size; `auto` is `ivf-sq8`, which
    takes the least memory. Opening with another type than before builds that one, and compares exactly until then."""
    device: Device = "cpu"
    """`gpu`: the first one, for ivf-flat and ivf-sq8; opening is refused with the reason where none can be used."""
    flat_limit: int = 20_000
    """Rows up to which every query is compared with every row, whatever the type."""
    exact_limit: int = 50_000
    """Rows passing a filter up to which they are compared exactly."""
    target_recall: float = 0.98
    """What share of the 10, 100 and 1000 nearest the structure is tuned to find, on probes made of the rows; above the
    0.95 that is promised, for real queries may be harder. At 1 it reads every list or walks the whole graph."""
    hnsw_m: int = 16
    """Links of a row in each layer of the graph; twice as many in the lowest."""
    hnsw_ef_construction: int = 100
    """Candidates kept while the place of a new row in the graph is found."""


@dataclass(frozen=True, slots=True)
class MilvusOptions:
    alias: str = "crossray"
    """The name that points at the collection of the moment. Whoever has several vector contracts names several."""
    suffix: str = ""
    """Ends the name of a collection that is made: those of one contract differ in it."""
    token: str = ""
    """`user:password` or an API key, for a server."""
    ca_file: Path | None = None
    """Certificates (PEM) that may sign a server's whose URI is https; by default those that gRPC brings."""
    server_name: str = ""
    """What the server's certificate must be for, where it is not the host in the URI."""
    deadline_s: float = 10.0
    """For one call, with what it is tried again."""
    type: IndexType = "auto"
    """Of a collection that is made; one that is there keeps its own. `auto`: `hnsw` on a server, `flat` in Lite."""
    consistency: Consistency = "bounded"
    """What a search on a server sees. `bounded`: what was written some seconds ago, and usually all but the last
    fifth of one. `session`: every write through this object. `strong`: every write through any."""


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
        return await asyncio.to_thread(EmbeddedIndex, path, dim, contract_json, embedded)
    from retrieval.milvus import MilvusIndex
    from retrieval.milvus.connection import Address, MilvusConnection

    if path is not None and uri is None:
        at: Path | Address = path
    elif uri is not None and path is None:
        at = Address(uri, milvus.token, milvus.ca_file, milvus.server_name)
    else:
        raise ValueError("Milvus needs either a path (a Lite file) or a uri (a server)")

    def connect() -> VectorIndex:
        connection = MilvusConnection(at, milvus.deadline_s)
        try:
            return MilvusIndex(connection, dim, contract_json, milvus)
        except BaseException:
            connection.close()
            raise

    return await asyncio.to_thread(connect)
