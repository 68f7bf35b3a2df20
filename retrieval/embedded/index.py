"""`VectorIndex` on one folder of one machine, owned by one process.

    index.sqlite      the record of truth: ids, payloads, vectors, the vector contract
    snapshot.npz      a copy of what is in memory, for a fast start; may be deleted
    LOCK              held by the owner

A write is in SQLite, flushed to disk, before it is searchable and before the call returns.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from retrieval.base import Hit, IndexHealth, Payload, Query, Record, Sample, TextQuery, Vector
from retrieval.durable import OwnerLock, make_folder, sweep_partials
from retrieval.embedded.building import proposer_name
from retrieval.embedded.gpu import require_gpu
from retrieval.embedded.library import load_faiss
from retrieval.embedded.locks import Turns
from retrieval.embedded.store import Change, Store
from retrieval.embedded.structure import Found, Structure
from retrieval.embedded.text_search import search_texts
from retrieval.embedded.upkeep import Upkeep
from retrieval.embedded.writer import GroupWriter, Write
from retrieval.errors import IndexUnavailable
from retrieval.filters import Filter
from retrieval.validation import check_query, check_records, check_text_query

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions

T = TypeVar("T")

INLINE_FLOATS = 16_000_000
"""A search that compares fewer floats than this takes two milliseconds, and handing it to a thread a tenth of that."""
THREADS = 2


class EmbeddedIndex:
    def __init__(self, folder: Path, dim: int, contract_json: str, options: EmbeddedOptions) -> None:
        """Opens or creates the index in `folder`. Blocks while it loads.

        Raises IndexLocked, SpaceMismatch, IncompatibleIndex, StorageFull, IndexUnavailable.
        """
        load_faiss()  # now, not in the first search: the import takes a tenth of a second
        if options.device == "gpu":
            require_gpu(proposer_name(options))
        make_folder(folder)
        self._folder = folder
        self._dim = dim
        self._lock = OwnerLock(folder / "LOCK", owned=folder)
        try:
            sweep_partials(folder)
            self._store = Store(folder / "index.sqlite", contract_json, dim)
        except BaseException:
            self._lock.release()
            raise
        self._structure = Structure(self._store, dim, options)
        try:
            self._upkeep = Upkeep(self._structure, self._store, folder / "snapshot.npz", dim, options)
        except BaseException:
            self._store.close()
            self._lock.release()
            raise
        self._turns = Turns(os.cpu_count() or 1)
        self._last_seq = self._store.last_seq()
        self._closing = threading.Lock()
        self._closed = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="index-search")
        self._column_pool = ThreadPoolExecutor(1, thread_name_prefix="index-columns")
        self._writer = GroupWriter(self._commit)
        self._upkeep.start_if_due()

    @property
    def dim(self) -> int:
        return self._dim

    async def upsert(self, records: Sequence[Record]) -> None:
        vectors = check_records(records, self._dim)
        puts = {r.id: Record(r.id, vector, r.payload) for r, vector in zip(records, vectors, strict=True)}
        if puts:
            await self._writer.submit(Write(puts=puts))

    async def delete(self, ids: Sequence[str]) -> int:
        drops = list(dict.fromkeys(ids))
        return await self._writer.submit(Write(drops=drops)) if drops else 0

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        found = await self._in_thread(lambda: self._store.records(list(dict.fromkeys(ids))))
        return [found.get(id) for id in ids]

    async def catch_up(self) -> None:
        """All writes go through this object."""

    async def scan(self, after: str = "", limit: int = 1000) -> list[Record]:
        return await self._in_thread(lambda: self._store.scan(after, limit))

    async def sample(self, limit: int) -> Sample:
        def read() -> Sample:
            with self._structure.committing:
                ids = self._structure.rows.ids
                chosen = random.sample(ids, min(limit, len(ids)))
            return Sample.of(list(self._store.records(chosen).values()), self._dim)

        return await self._in_thread(read)

    async def count(self, filter: Filter | None = None) -> int:
        if filter is None:
            self._require_open()
            return self._structure.rows.count
        return await self._in_thread(lambda: self._structure.count(filter), [filter])

    async def search(self, queries: Sequence[Query]) -> list[list[Hit]]:
        vectors = [check_query(query, self._dim) for query in queries]
        floats = self._dim * sum(self._structure.comparisons(query.top_k) for query in queries)
        if floats <= INLINE_FLOATS and all(query.filter is None for query in queries):
            self._require_open()
            return self._search(queries, vectors)
        return await self._in_thread(lambda: self._search(queries, vectors), [query.filter for query in queries])

    def search_ids(self, query: Query) -> list[tuple[str, float]]:
        """Ids and scores alone, best first, ties by id: what a comparison of answers needs. Any thread may call it."""
        self._require_open()
        with self._turns:
            return [(hit.id, hit.score) for hit in self._structure.search(query, check_query(query, self._dim))]

    def answers_at_once(self, query: Query) -> bool:
        return self._structure.has_columns(query.filter)

    async def search_text(self, queries: Sequence[TextQuery]) -> list[list[Hit]]:
        for query in queries:
            check_text_query(query)
        return await self._in_thread(lambda: [search_texts(self._store, query) for query in queries])

    def _search(self, queries: Sequence[Query], vectors: Sequence[Vector]) -> list[list[Hit]]:
        answers = self._hits(queries, vectors)
        if answers is None:
            # A write came between the search and the reading of payloads. Once, hold writes back.
            with self._structure.committing:
                answers = self._hits(queries, vectors)
        return answers or []

    def _hits(self, queries: Sequence[Query], vectors: Sequence[Vector]) -> list[list[Hit]] | None:
        """None where a payload that belongs to a hit is no longer, or not yet, what SQLite holds."""
        found = [self._structure.search(query, vector) for query, vector in zip(queries, vectors, strict=True)]
        seqs = list({hit.seq for hits in found for hit in hits})
        payloads = self._store.payloads(seqs)
        if len(payloads) < len(seqs):
            return None
        return [[_to_hit(hit, payloads) for hit in hits] for hits in found]

    async def health(self) -> IndexHealth:
        structure = self._structure
        parts = [f"{structure.nbytes / 2**20:.1f} MiB in memory"]
        if (proposer := structure.proposer) is not None:
            parts.append(f"{proposer.describe()}, {structure.late} rows not in it yet")
        if self._upkeep.is_building:
            parts.append("building")
        return IndexHealth(
            ready=not self._closed,
            backend="embedded",
            count=structure.rows.count,
            structure=structure.name,
            detail=", ".join(parts),
        )

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._upkeep.stop()
            self._writer.close()
            self._pool.shutdown()
            self._column_pool.shutdown()
            self._upkeep.close()
            self._store.close()
            self._lock.release()

    def _require_open(self) -> None:
        if self._closed:
            raise IndexUnavailable(f"the index at {self._folder} is closed")

    async def _in_thread(self, work: Callable[[], T], filters: Iterable[Filter | None] = ()) -> T:
        """What has to read columns first waits in a line of its own, and holds up only its like."""
        self._require_open()
        pool = self._pool if all(map(self._structure.has_columns, filters)) else self._column_pool
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _commit(self, writes: Sequence[Write]) -> list[int]:
        """Runs in the writing thread: to disk, then to memory, in the order of the calls."""
        rows = self._structure.rows
        with self._structure.committing:
            last_seq = self._last_seq
            stored: dict[str, int | None] = {}
            changes, counts = [], []
            for write in writes:
                ids = [*write.puts, *write.drops]
                for id in ids:
                    if id not in stored:
                        stored[id] = int(rows.seqs[rows.slot_of[id]]) if id in rows.slot_of else None
                gone = [seq for id in ids if (seq := stored[id]) is not None]
                seqs = range(last_seq + 1, last_seq + 1 + len(write.puts))
                stored.update(zip(write.puts, seqs, strict=True))
                stored.update(dict.fromkeys(write.drops))
                last_seq += len(write.puts)
                changes.append(Change(list(write.puts.values()), seqs, gone))
                counts.append(len(gone))
            self._store.write(changes)
            self._last_seq = last_seq
            for write, change in zip(writes, changes, strict=True):
                if change.records:
                    self._structure.put(change.records, change.seqs)
                self._structure.remove([id for id in write.drops if id in rows.slot_of])
        self._upkeep.start_if_due()
        return counts


def _to_hit(found: Found, payloads: dict[int, Payload]) -> Hit:
    return Hit(found.id, found.score, payloads[found.seq])
