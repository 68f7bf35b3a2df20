"""The approximate structure's life: built beside the searches, given what is written, tuned anew, dropped."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.embedded.building import new_proposer, proposer_name, sample_rows
from retrieval.embedded.labels import WAITING
from retrieval.embedded.library import load_faiss
from retrieval.embedded.proposer import Proposer
from retrieval.embedded.structure import Structure
from retrieval.embedded.tuning import Probes, tune

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions

LATE_ROWS = 1_024
"""Rows written since the structure was built that are compared exactly, until there are this many."""
KEPT_SHARE = 0.9
"""Of the flat limit: down to it a structure is kept, unused, so that one is not built at every step to and fro."""
CHUNK = 16_384
LOOK_SHARE = 0.2
"""Of the time of adding rows: to look which of them can be reached."""


class Maintenance:
    """One thread calls `maintain`; it alone changes a proposer, and holds the lock for moments only."""

    def __init__(self, structure: Structure, options: EmbeddedOptions) -> None:
        self._structure = structure
        self._rows = structure.rows
        self._lock = structure.lock
        self._options = options
        self._look_s = 0.0
        """How long the last look took at which rows can be reached."""
        self._has_type = proposer_name(options) is not None

    def is_due(self) -> bool:
        """Whether `maintain` has something to do."""
        proposer = self._structure.proposer
        return (
            self._needs_building()
            or self._needs_dropping()
            or (proposer is not None and (self._structure.late >= LATE_ROWS or self._needs_tuning()))
        )

    def maintain(self, stopping: threading.Event) -> bool:
        """Builds a structure, tunes it, adds late rows to it or drops it; says whether it built one. Blocks."""
        load_faiss().omp_set_num_threads(1)  # of this thread: the other cores go on answering
        has_built = False
        while self._needs_building() and not stopping.is_set():
            has_built = self._build(stopping) or has_built
        if self._needs_dropping():
            self._drop()
        if (proposer := self._structure.proposer) is None:
            return has_built
        if self._needs_tuning() and not stopping.is_set():
            self._tune(proposer)
        while self._structure.late and not self._needs_building() and not stopping.is_set():
            self._extend(proposer, stopping)
        return has_built

    def _needs_building(self) -> bool:
        """There is none yet, or the one that is there does not do for the rows any more."""
        if not self._has_type or self._rows.count < self._options.flat_limit:
            return False
        proposer, labels = self._structure.proposer, self._rows.labels
        gone = labels.gone - labels.stranded
        return proposer is None or proposer.is_outgrown(self._rows.count, self._structure.late, gone)

    def _needs_dropping(self) -> bool:
        return self._structure.proposer is not None and self._rows.count < KEPT_SHARE * self._options.flat_limit

    def _needs_tuning(self) -> bool:
        return self._structure.tuned_for != self._options.target_recall

    def _drop(self) -> None:
        with self._lock.alone():
            self._forget()

    def _forget(self) -> None:
        self._structure.proposer = None
        self._rows.labels.reset(np.empty(0, dtype=np.int64), 0)

    def _extend(self, proposer: Proposer, stopping: threading.Event) -> None:
        """Adds some late rows. What can be done while others search is.

        They are compared exactly until it is known which of them no search can find, and of the rows from before.
        """
        labels, until = self._rows.labels, time.perf_counter() + self._look_s / LOOK_SHARE
        with self._lock.shared():
            waiting = labels.waiting(self._rows.count)[:CHUNK]
        added: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
        for start in range(0, len(waiting), proposer.late_chunk):
            if stopping.is_set() or (added and time.perf_counter() > until):
                break
            with self._lock.shared():
                slots = waiting[start : start + proposer.late_chunk]
                slots = slots[slots < self._rows.count]
                slots = slots[labels.of_slots(self._rows.count)[slots] == WAITING]
                chunk, seqs = self._rows.matrix[slots], self._rows.seqs[slots]
            prepared = proposer.prepare(chunk)
            begun = time.perf_counter()
            with self._lock.alone():
                try:
                    proposer.add(chunk, prepared)
                except BaseException:  # out of memory: what is half added to cannot be searched
                    self._forget()
                    raise
                added.append((labels.give(len(chunk)), slots, seqs))
            time.sleep(time.perf_counter() - begun)  # searches that waited go first, and have half of the time
        if not added:
            return
        given, slots, seqs = (np.concatenate(parts) for parts in zip(*added, strict=True))
        begun = time.perf_counter()
        unreachable = proposer.unreachable()
        self._look_s = time.perf_counter() - begun
        with self._lock.alone():
            unchanged = self._rows.unchanged(slots, seqs)
            labels.assign(given[unchanged], slots[unchanged])
            labels.strand(unreachable)

    def _build(self, stopping: threading.Event) -> bool:
        """Builds a structure beside the searches, and puts it in place; False where it was stopped."""
        rows = self._rows
        with self._lock.shared():
            count = rows.count
            sampled = np.random.default_rng(0).permutation(count)[: sample_rows(self._options, count)]
            sample = rows.matrix[np.sort(sampled)]
        proposer, probes = new_proposer(self._options, sample, count), Probes(sample)
        built = np.full(count, -1, dtype=np.int64)
        while (start := proposer.count) < count:  # its next label, and so the slot whose row it is given
            if stopping.is_set():
                return False
            with self._lock.shared():
                chunk = rows.matrix[start : min(start + proposer.build_chunk, count)].copy()
                built[start : start + len(chunk)] = rows.seqs[start : start + len(chunk)]
            if len(chunk) == 0:  # so many rows went meanwhile
                break
            proposer.add(chunk, proposer.prepare(chunk))
            probes.see(chunk, start + np.arange(len(chunk)))
        unreachable = proposer.unreachable()
        tune(proposer, probes, self._options.target_recall, unreachable)
        with self._lock.alone():
            slots = np.arange(proposer.count)
            unchanged = rows.unchanged(slots, built[: proposer.count])
            rows.labels.reset(np.where(unchanged, slots, WAITING), proposer.count)
            rows.labels.strand(unreachable)
            self._structure.proposer, self._structure.tuned_for = proposer, self._options.target_recall
        return True

    def _tune(self, proposer: Proposer) -> None:
        rows = self._rows
        with self._lock.shared():
            known = np.flatnonzero(rows.labels.of_slots(rows.count) >= 0)
            sampled = np.random.default_rng(0).permutation(known)[: sample_rows(self._options, len(known))]
            probes = Probes(rows.matrix[np.sort(sampled)])
        for start in range(0, rows.count, CHUNK):
            with self._lock.shared():
                slots = np.arange(start, min(start + CHUNK, rows.count))
                labels = rows.labels.of_slots(rows.count)[slots]
                slots, labels = slots[labels >= 0], labels[labels >= 0]
                chunk = rows.matrix[slots]
            probes.see(chunk, labels)
        tune(proposer, probes, self._options.target_recall, np.empty(0, dtype=np.int64))
        self._structure.tuned_for = self._options.target_recall
