"""Records by id, where "there is none" must be true."""

from __future__ import annotations

from collections.abc import Sequence

from deployments.ports import IndexPort
from retrieval import Record


async def find(index: IndexPort, ids: Sequence[str]) -> list[Record | None]:
    """As `IndexPort.get`; those that it does not see it looks for again with what any retriever acknowledged."""
    records = await index.get(ids)
    missing = [at for at, record in enumerate(records) if record is None]
    if missing:
        again = await index.get([ids[at] for at in missing], latest=True)
        for at, record in zip(missing, again, strict=True):
            records[at] = record
    return records
