"""What the services need of the rest of the graph, as small protocols.

In a cluster they are handles with coalescing and retries (`deployments/remote.py`); without Ray they are the workers
themselves (`deployments/local.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployments.encoder import EncodeOutcome, EncodeTask
from deployments.rerank import RerankReply, RerankTask
from deployments.structurer import Structure
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery


class EncodePort(Protocol):
    """Where inputs become vectors."""

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        """One outcome a task, in order. Raises Overloaded or Unavailable for all."""
        ...


class RerankPort(Protocol):
    """Where pairs are scored."""

    @property
    def names(self) -> frozenset[str]:
        """The names that its model goes by; known also while it sleeps."""
        ...

    async def rerank(self, task: RerankTask) -> RerankReply:
        """Raises Overloaded or Unavailable."""
        ...


class StructurePort(Protocol):
    """Where a model reads what queries ask for."""

    async def structure(self, query: str) -> Structure:
        """Raises Overloaded or Unavailable."""
        ...


class IndexPort(Protocol):
    """Where records live. Each method raises the index's own errors, or Unavailable."""

    async def search(self, query: Query) -> list[Hit]: ...

    async def search_text(self, query: TextQuery) -> list[Hit]: ...

    async def upsert(self, records: Sequence[Record]) -> None: ...

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        """Keeps what was read off an item's image, and touches nothing else. False, and nothing is written, where the
        item is gone, has another image than `media`, or was read already."""
        ...

    async def get(self, ids: Sequence[str], *, latest: bool = False) -> list[Record | None]:
        """With `latest`, what any retriever acknowledged before is seen; over a Milvus server it takes some 200 ms."""
        ...

    async def confirm(self, ids: Sequence[str]) -> None:
        """Before an answer that promises what was just read of `ids` without a write: it lasts as a write would."""
        ...

    async def delete(self, ids: Sequence[str]) -> int: ...

    async def scan(self, after: str, limit: int) -> list[Record]: ...

    async def count(self, filter: Filter | None = None) -> int: ...

    async def sample(self, limit: int) -> Sample: ...

    async def health(self) -> IndexHealth: ...
