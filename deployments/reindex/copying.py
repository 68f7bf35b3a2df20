"""Bringing records over into another version, and finding the ones that cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from deployments.catalog.loose_files import LooseFiles
from deployments.errors import status_of
from deployments.ports import IndexPort
from deployments.reindex.vectors import VectorSource
from retrieval import Payload, Record, RetrievalError

PASSING = frozenset({429, 503, 504, 507})
"""Statuses of errors that waiting helps against."""


class Copier:
    """Writes into `target` what records are under its contract. Each call may be made again."""

    def __init__(self, target: IndexPort, vectors: VectorSource, loose_files: LooseFiles) -> None:
        self._target = target
        self._vectors = vectors
        self._loose_files = loose_files
        self.failures: dict[str, str] = {}
        """Why an item is not there, by its id."""
        self.reused = 0
        """Vectors that were taken over as they are."""

    async def take(self, records: Sequence[Record]) -> None:
        """Writes those that the version lacks, or has otherwise."""
        there = dict(zip((r.id for r in records), await self._target.get([r.id for r in records]), strict=True))
        fresh: list[Record] = []
        writes: list[Record] = []
        loose: list[str] = []
        for record in records:
            old = there[record.id]
            if old is None or not self._same_vector(old, record):
                fresh.append(record)
            elif old.payload != record.payload:
                writes.append(Record(record.id, old.vector, record.payload))
            if old is not None and old.payload.media not in (None, record.payload.media):
                loose.append(str(old.payload.media))
        for record, made in zip(fresh, await self._vectors.make(fresh), strict=True):
            if made.vector is None:
                self.failures[record.id] = made.reason
            else:
                writes.append(Record(record.id, made.vector, record.payload))
        if failed := [r.id for r in fresh if r.id in self.failures and there[r.id] is not None]:
            await self._target.delete(failed)
        await self._write(writes)
        if loose:
            await asyncio.to_thread(self._loose_files.add, loose)
        if self._vectors.reuses:
            self.reused += len(fresh)

    async def _write(self, records: Sequence[Record]) -> None:
        """One that the index refuses is found by halving, and fails alone."""
        if not records:
            return
        try:
            await self._target.upsert(records)
        except RetrievalError as error:
            if may_pass(error):
                raise
            if len(records) == 1:
                await self._target.delete([records[0].id])  # what it was before
                self.failures[records[0].id] = str(error)[:200]
                return
            half = len(records) // 2
            await self._write(records[:half])
            await self._write(records[half:])
        else:
            for record in records:
                self.failures.pop(record.id, None)

    def _same_vector(self, old: Record, record: Record) -> bool:
        """Whether the vector that is there is that of the record: its own, or one made of the same content."""
        if self._vectors.reuses:
            return bool(np.allclose(old.vector, self._vectors.taken_over(record), atol=1e-6))
        return _content(old.payload) == _content(record.payload)

    async def remove(self, ids: Sequence[str]) -> None:
        for id in ids:
            self.failures.pop(id, None)
        there = [record for record in await self._target.get(ids) if record is not None] if ids else []
        if there:
            await self._target.delete([record.id for record in there])
            media = [record.payload.media for record in there if record.payload.media is not None]
            await asyncio.to_thread(self._loose_files.add, media)


def may_pass(error: Exception) -> bool:
    """Whether it is of a part that is away, busy or full, and not of what was asked."""
    return isinstance(error, OSError) or status_of(error).status in PASSING


def _content(payload: Payload) -> tuple[str, str | None, str | None]:
    return payload.kind, payload.text, payload.media
