"""What searches: the packed rows, the filter columns, and above some size an inverted file, all in memory.

Up to `flat_limit` rows a query is compared with every row. Above, an inverted file proposes rows, and the rows written
since it was built are compared exactly beside its proposals. Where a filter lets at most `exact_limit` rows pass, those
are compared exactly, so that a filter never costs recall.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.base import KINDS_OF_TARGET, Query, Record, Vector
from retrieval.embedded.column_reading import ColumnReading
from retrieval.embedded.columns import Columns, Mask
from retrieval.embedded.comparing import nearest, pick
from retrieval.embedded.ivf import SAMPLE_PER_LIST, Ivf, Probes, choose_nprobes, lists_for, load_faiss, train
from retrieval.embedded.locks import SharedLock
from retrieval.embedded.rows import Rows
from retrieval.embedded.store import Store
from retrieval.filters import And, Filter, In
from retrieval.ranking import candidates, exact_scores, rank

CHUNK = 16_384
CHUNK_LATE = 2_048
LATE_ROWS = 1_024
"""Rows written since the inverted file was built that are compared exactly, until there are this many."""
KEPT_SHARE = 0.9
"""Of the flat limit: down to it an inverted file is kept, unused, so that one is not built at every step to and fro."""


@dataclass(frozen=True, slots=True)
class Found:
    """A hit before its payload is read: `seq` names the version of the item that was compared."""

    id: str
    seq: int
    score: float


class Structure:
    """Safe for many threads. `committing` is held by whoever writes to SQLite and then to this."""

    def __init__(self, store: Store, dim: int, flat_limit: int, exact_limit: int, target_recall: float) -> None:
        self.rows = Rows(dim)
        self.columns = Columns(self.rows)
        self._store = store
        self.ivf: Ivf | None = None
        self.committing = threading.RLock()
        self._lock = SharedLock()
        self._flat_limit = flat_limit
        self._exact_limit = exact_limit
        self._target_recall = target_recall

    @property
    def name(self) -> str:
        return "flat" if self._in_use() is None else "ivf-sq8"

    def _in_use(self) -> Ivf | None:
        """The inverted file, where there are rows enough for searches to go by it."""
        return self.ivf if self.rows.count >= self._flat_limit else None

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes + self.columns.nbytes + (self.ivf.nbytes if self.ivf else 0)

    def put(self, records: Sequence[Record], seqs: Sequence[int]) -> None:
        """Ids are distinct."""
        with self._lock.alone():
            vectors = np.stack([record.vector for record in records])
            slots = self.rows.put([record.id for record in records], seqs, vectors)
            self.columns.put(slots, [record.payload for record in records])

    def remove(self, ids: Sequence[str]) -> None:
        with self._lock.alone():
            for id in ids:
                self.rows.remove(id, self.columns.move)

    def load_columns(self, fields: set[str]) -> None:
        """Reads columns while others search and write; holds these back for moments, each time at the end."""
        for field in sorted(fields):
            reading = ColumnReading(self._store, field)
            reading.advance()
            with self.committing:  # so that the column and the rows are of one moment
                reading.advance()
                column = reading.column(self.rows.seqs)
                with self._lock.alone():
                    self.columns.add(field, column)

    def has_columns(self, filter: Filter | None) -> bool:
        """Whether a filter needs nothing that is not in memory."""
        with self._lock.shared():
            return filter is None or not self.columns.missing(filter)

    def count(self, filter: Filter | None) -> int:
        while filter is not None:
            with self._lock.shared():
                if not (missing := self.columns.missing(filter)):
                    return int(self.columns.mask(filter).sum())
            self.load_columns(missing)
        return self.rows.count

    def search(self, query: Query, vector: Vector) -> list[Found]:
        """Best first, ties by id."""
        filter = _with_kinds(query)
        while True:
            with self._lock.shared():
                missing = self.columns.missing(filter) if filter is not None else set()
                if not missing:
                    return self._search(vector, query.top_k, filter)
            self.load_columns(missing)

    def comparisons(self, top_k: int) -> int:
        """About how many rows an unfiltered query is compared with."""
        if (ivf := self._in_use()) is None:
            return self.rows.count
        return ivf.nlist + self.rows.count * ivf.nprobe(top_k) // ivf.nlist + self._late()

    def _search(self, vector: Vector, top_k: int, filter: Filter | None) -> list[Found]:
        mask = self.columns.mask(filter) if filter is not None else None
        passing = self.rows.count if mask is None else int(np.count_nonzero(mask))
        if passing == self.rows.count:
            mask = None
        ivf = self._in_use()
        if ivf is None or (mask is not None and passing <= self._exact_limit):
            slots = self._compare(vector, top_k, mask, passing)
        else:
            slots = self._propose(ivf, vector, top_k, mask)
            if len(slots) < min(top_k, passing):  # the lists that were read held too few
                slots = self._compare(vector, top_k, mask, passing)
        ids = [self.rows.ids[slot] for slot in slots]
        scores = exact_scores(self.rows.matrix[slots], vector)
        return [Found(ids[i], int(self.rows.seqs[slots[i]]), scores[i]) for i in rank(ids, scores, top_k)]

    def _compare(self, vector: Vector, top_k: int, mask: Mask | None, passing: int) -> NDArray[np.int64]:
        matrix = self.rows.matrix
        if mask is None:
            return nearest(matrix, vector, top_k)
        slots = np.flatnonzero(mask)
        # Above a half, reading every row in order is faster than picking rows.
        scores = (matrix @ vector)[slots] if 2 * passing > len(matrix) else pick(matrix, vector, slots)
        return np.asarray(slots[candidates(scores, top_k)])

    def _propose(self, ivf: Ivf, vector: Vector, top_k: int, mask: Mask | None) -> NDArray[np.int64]:
        rows = self.rows
        is_whole = rows.indexed_count == ivf.index.ntotal
        allowed = None if mask is None and is_whole else np.zeros(max(rows.count, len(ivf.built)), dtype=bool)
        if allowed is not None:
            allowed[: rows.count] = rows.indexed if mask is None else rows.indexed & mask
        slots = ivf.propose(vector, top_k, allowed)
        if not is_whole:
            slots = np.unique(slots)
        if self._late():
            late = rows.unindexed()
            slots = np.concatenate([slots, late if mask is None else late[mask[late]]])
        return slots[candidates(pick(self.rows.matrix, vector, slots), top_k)]

    def is_due(self) -> bool:
        """Whether `maintain` has something to do."""
        return self._needs_building() or self._needs_dropping() or (self.ivf is not None and self._late() >= LATE_ROWS)

    def maintain(self, stopping: threading.Event) -> bool:
        """Builds an inverted file, adds late rows to it or drops it; says whether it built one. Blocks."""
        load_faiss().omp_set_num_threads(1)  # of this thread: the other cores go on answering
        has_built = False
        while self._needs_building() and not stopping.is_set():
            self._build(stopping)
            has_built = True
        if self._needs_dropping():
            self._drop()
        while self.ivf is not None and self._late() and not stopping.is_set():
            self._extend(self.ivf)
        return has_built

    def _late(self) -> int:
        return self.rows.count - self.rows.indexed_count

    def _needs_building(self) -> bool:
        """There is none yet, the rows have doubled since, or most of what it holds is of rows long gone."""
        count = self.rows.count
        if self.ivf is None or count < self._flat_limit:
            return count >= self._flat_limit
        stale = int(self.ivf.index.ntotal) - self.rows.indexed_count
        return lists_for(count) > 1.4 * self.ivf.nlist or stale > count

    def _needs_dropping(self) -> bool:
        return self.ivf is not None and self.rows.count < KEPT_SHARE * self._flat_limit

    def _drop(self) -> None:
        with self._lock.alone():
            self.ivf = None
            self.rows.mark_indexed(np.empty(0, dtype=np.int64))

    def _extend(self, ivf: Ivf) -> None:
        """Adds some late rows. What takes long, finding each row's list, is done while others search."""
        with self._lock.shared():
            slots = self.rows.unindexed()[:CHUNK_LATE]
            chunk, seqs = self.rows.matrix[slots], self.rows.seqs[slots]
        lists = ivf.assign(chunk)
        with self._lock.alone():
            slots, kept = self.rows.mark_added(slots, seqs)
            ivf.add(slots, chunk[kept], lists[kept], seqs[kept])

    def _build(self, stopping: threading.Event) -> None:
        """Builds an inverted file beside the searches, and puts it in place. Holds the lock for moments only."""
        with self._lock.shared():
            count = self.rows.count
            sampled = np.random.default_rng(0).permutation(count)[: SAMPLE_PER_LIST * lists_for(count)]
            sample = self.rows.matrix[np.sort(sampled)]
        index = train(sample, count)
        probes = Probes(sample)
        built = np.full(count, -1, dtype=np.int64)
        for start in range(0, count, CHUNK):
            if stopping.is_set():
                return
            with self._lock.shared():
                chunk = self.rows.matrix[start : min(start + CHUNK, count)].copy()
                built[start : start + len(chunk)] = self.rows.seqs[start : start + len(chunk)]
            index.add_with_ids(chunk, start + np.arange(len(chunk)))
            probes.see(chunk, start)
        nprobes = choose_nprobes(index, probes.vectors, probes.nearest, self._target_recall)
        ivf = Ivf(index, nprobes, built)
        with self._lock.alone():
            self.rows.mark_indexed(built)
            self.ivf = ivf

    def restore(self, ids: Sequence[str], seqs: NDArray[np.int64], matrix: Vector, ivf: Ivf | None) -> None:
        """Takes over rows by slot, and the inverted file that knows some of them."""
        self.rows.put(ids, seqs, matrix)
        if ivf is not None:
            self.ivf = ivf
            self.rows.mark_indexed(ivf.built)

    def copy(self) -> tuple[NDArray[np.int64], Vector, Ivf | None]:
        """Seqs, matrix and inverted file of one moment."""
        with self._lock.shared():
            return self.rows.seqs.copy(), self.rows.matrix.copy(), self.ivf


def _with_kinds(query: Query) -> Filter | None:
    if query.target == "any":
        return query.filter
    kinds = In("kind", KINDS_OF_TARGET[query.target])
    return kinds if query.filter is None else And((kinds, query.filter))
