"""What searches: the packed rows, the filter columns, and above some size an approximate structure, all in memory.

Up to `flat_limit` rows a query is compared with every row. Above, the structure proposes rows, and those that it does
not know yet are compared exactly beside its proposals. Where a filter lets at most `exact_limit` rows pass, those are
compared exactly, so that a filter never costs recall; likewise where the structure finds too few, or more ties than it
can name.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Query, Record, Vector
from retrieval.embedded.column_reading import ColumnReading
from retrieval.embedded.columns import Columns, Mask
from retrieval.embedded.comparing import nearest, pick
from retrieval.embedded.labels import NOWHERE
from retrieval.embedded.locks import SharedLock
from retrieval.embedded.proposer import TIES, Proposals, Proposer
from retrieval.embedded.rows import Rows
from retrieval.embedded.snapshot import Snapshot
from retrieval.embedded.store import Store
from retrieval.filters import Filter
from retrieval.ranking import MARGIN, candidates, exact_scores, rank
from retrieval.scope import scope_of

Chosen: TypeAlias = tuple[NDArray[np.int64], list[float]]
"""Slots of rows that may be among the best, and their exact scores."""
NO_SLOTS: NDArray[np.int64] = np.empty(0, dtype=np.int64)
NO_SCORES: Vector = np.empty(0, dtype=np.float32)

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions


class Found(NamedTuple):
    """A hit before its payload is read: `seq` names the version of the item that was compared.

    Every search makes as many as it has hits, and a dataclass takes three times as long to make.
    """

    id: str
    seq: int
    score: float


class Structure:
    """Safe for many threads. `committing` is held by whoever writes to SQLite and then to this, `lock` by whoever reads
    or changes the rows or the proposer."""

    def __init__(self, store: Store, dim: int, options: EmbeddedOptions) -> None:
        self.rows = Rows(dim)
        self.columns = Columns(self.rows)
        self.proposer: Proposer | None = None
        self.tuned_for = options.target_recall
        """The recall that the proposer was tuned for."""
        self.committing = RLock()
        self.lock = SharedLock()
        self._store = store
        self._flat_limit = options.flat_limit
        self._exact_limit = options.exact_limit

    @property
    def name(self) -> str:
        proposer = self._in_use()
        return "flat" if proposer is None else proposer.name

    def _in_use(self) -> Proposer | None:
        """The approximate structure, where there are rows enough for searches to go by it."""
        return self.proposer if self.rows.count >= self._flat_limit else None

    @property
    def late(self) -> int:
        """Rows that the approximate structure is still to be given."""
        return self.rows.count - self.rows.labels.known - self.rows.labels.stranded

    @property
    def nbytes(self) -> int:
        return self.rows.nbytes + self.columns.nbytes + (self.proposer.nbytes if self.proposer else 0)

    def put(self, records: Sequence[Record], seqs: Sequence[int]) -> None:
        """Ids are distinct."""
        with self.lock.alone():
            vectors = np.stack([record.vector for record in records])
            slots = self.rows.put([record.id for record in records], seqs, vectors)
            self.columns.put(slots, [record.payload for record in records])

    def remove(self, ids: Sequence[str]) -> None:
        with self.lock.alone():
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
                with self.lock.alone():
                    self.columns.add(field, column)

    def has_columns(self, filter: Filter | None) -> bool:
        """Whether a filter needs nothing that is not in memory."""
        if filter is None:
            return True
        with self.lock.shared():
            return not self.columns.missing(filter)

    def count(self, filter: Filter | None) -> int:
        while filter is not None:
            with self.lock.shared():
                if not (missing := self.columns.missing(filter)):
                    return int(self.columns.mask(filter).sum())
            self.load_columns(missing)
        return self.rows.count

    def search(self, query: Query, vector: Vector) -> list[Found]:
        """Best first, ties by id."""
        filter = scope_of(query)
        while True:
            with self.lock.shared():
                missing = self.columns.missing(filter) if filter is not None else set()
                if not missing:
                    return self._search(vector, query.top_k, filter)
            self.load_columns(missing)

    def comparisons(self, top_k: int) -> int:
        """About how many rows an unfiltered query is compared with."""
        if (proposer := self._in_use()) is None:
            return self.rows.count
        return proposer.comparisons(top_k) + self.rows.count - self.rows.labels.known

    def _search(self, vector: Vector, top_k: int, filter: Filter | None) -> list[Found]:
        count = self.rows.count
        mask = self.columns.mask(filter) if filter is not None else None
        passing = count if mask is None else int(np.count_nonzero(mask))
        if passing == count:
            mask = None
        proposer = self._in_use()
        chosen = None
        if proposer is not None and (mask is None or passing > max(self._exact_limit, proposer.min_share * count)):
            chosen = self._propose(proposer, vector, top_k, mask)
        slots, scores = chosen or self._compare(vector, top_k, mask, passing)
        names = self.rows.ids
        ids = [names[slot] for slot in slots.tolist()]
        seqs = self.rows.seqs[slots].tolist()
        return [Found(ids[i], seqs[i], scores[i]) for i in rank(ids, scores, top_k)]

    def _compare(self, vector: Vector, top_k: int, mask: Mask | None, passing: int) -> Chosen:
        matrix = self.rows.matrix
        if mask is None:
            slots = nearest(matrix, vector, top_k)
        else:
            slots = np.flatnonzero(mask)
            # Above a half, reading every row in order is faster than picking rows.
            scores = (matrix @ vector)[slots] if 2 * passing > len(matrix) else pick(matrix, vector, slots)
            slots = slots[candidates(scores, top_k)]
        return slots, exact_scores(matrix[slots], vector)

    def _propose(self, proposer: Proposer, vector: Vector, top_k: int, mask: Mask | None) -> Chosen | None:
        """None where the proposer found fewer than there must be, or where the last of them may be among the best."""
        labels = self.rows.labels
        passing = labels.known
        if mask is None:
            found, scores = self._propose_any(proposer, vector, top_k)
        else:
            allowed = mask[labels.slot_of]
            if labels.gone:
                allowed &= labels.in_place()
            passing = int(np.count_nonzero(allowed))
            found, scores = proposer.propose(vector, top_k, allowed)
        slots = labels.slot_of[found]
        proposed = len(slots)
        if proposed < min(top_k + TIES, passing):
            return None
        others = self._unknown(mask)
        other_scores = pick(self.rows.matrix, vector, others) if len(others) else NO_SCORES
        if scores is not None and proposed > top_k:
            best_first = scores.tolist()
            edge = best_first[top_k - 1] - MARGIN - 2 * proposer.score_error
            if best_first[-1] < edge:
                end = bisect_right(best_first, -edge, lo=top_k, key=operator.neg)
                slots = slots[:end]
                if len(others) and (near := other_scores >= edge).any():
                    slots = np.concatenate([slots, others[near]])
                return slots, exact_scores(self.rows.matrix[slots], vector)
        if scores is None or proposer.score_error:
            scores = pick(self.rows.matrix, vector, slots)
        chosen = candidates(np.concatenate([scores, other_scores]), top_k)
        if proposed < passing and (chosen == proposed - 1).any():  # so may rows be that come after it
            return None
        slots = np.concatenate([slots, others])[chosen]
        return slots, exact_scores(self.rows.matrix[slots], vector)

    def _unknown(self, mask: Mask | None) -> NDArray[np.int64]:
        """Slots that the proposer does not propose from, as far as the mask lets them pass."""
        labels = self.rows.labels
        if labels.known == self.rows.count:
            return NO_SLOTS
        unknown = labels.unknown(self.rows.count)
        return unknown if mask is None else unknown[mask[unknown]]

    def _propose_any(self, proposer: Proposer, vector: Vector, top_k: int) -> Proposals:
        """Labels that are of a row.

        Where few labels are of rows long gone, none is found as a rule, and then nobody has taken the place of another
        on the way either.
        """
        labels = self.rows.labels
        if not labels.replaced or labels.replaced * proposer.wanted(top_k) <= labels.given:
            found, scores = proposer.propose(vector, top_k, None)
            if not labels.gone or NOWHERE not in labels.slot_of[found].tolist():
                return found, scores
        return proposer.propose(vector, top_k, labels.in_place())

    def load(self, ids: Sequence[str], seqs: NDArray[np.int64], matrix: Vector) -> None:
        """Takes over rows."""
        self.rows.put(ids, seqs, matrix)

    def restore(self, proposer: Proposer, labels: NDArray[np.int64], tuned_for: float) -> None:
        """Takes over an approximate structure that knows the rows by `labels`."""
        self.proposer, self.tuned_for = proposer, tuned_for
        self.rows.labels.reset(labels, proposer.count)

    def snapshot(self, token: str) -> Snapshot:
        """Everything of one moment. Only the proposer is no copy: whoever changes it may not do so meanwhile."""
        with self.lock.shared():
            rows = self.rows
            labels = rows.labels.of_slots(rows.count).copy()
            return Snapshot(token, rows.seqs.copy(), rows.matrix.copy(), labels, self.proposer, self.tuned_for)
