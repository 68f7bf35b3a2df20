"""What goes on behind the searches: loading at the start, building in the background, snapshots for the next start."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval.embedded.columns import ALWAYS
from retrieval.embedded.maintenance import Maintenance
from retrieval.embedded.snapshot import load_snapshot, save_snapshot
from retrieval.embedded.store import Store
from retrieval.embedded.structure import Structure

if TYPE_CHECKING:
    from retrieval.open import EmbeddedOptions

log = logging.getLogger(__name__)

SNAPSHOT_ROWS = 2_000
"""Below this, reading SQLite is as fast as reading a snapshot."""
LOAD_ROWS = 4_096
GROWN = 1.5
"""So much more in the approximate structure than in the snapshot is worth another: a killed process would add it
anew."""


class Upkeep:
    def __init__(self, structure: Structure, store: Store, snapshot: Path, dim: int, options: EmbeddedOptions) -> None:
        """Loads all rows into `structure`, many from `snapshot` where that file is good. Raises as `Store` does."""
        self._structure = structure
        self._options = options
        self._maintenance = Maintenance(structure, options)
        self._store = store
        self._snapshot = snapshot
        self._snapshot_seq = 0
        self._snapshot_known = 0
        self._load(dim)
        self._stopping = threading.Event()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="index-build")
        self._build: Future[None] | None = None

    @property
    def is_building(self) -> bool:
        return self._build is not None and not self._build.done()

    def start_if_due(self) -> None:
        if not self.is_building and not self._stopping.is_set() and self._maintenance.is_due():
            self._build = build = self._background.submit(self._build_structure)
            build.add_done_callback(self._built)

    def stop(self) -> None:
        """Starts nothing more; what runs ends soon."""
        self._stopping.set()

    def close(self) -> None:
        """After the last write: waits for what runs, and takes a snapshot where something changed."""
        self.stop()
        self._background.shutdown(cancel_futures=True)
        rows = self._structure.rows
        if rows.count >= SNAPSHOT_ROWS and self._snapshot_seq < int(rows.seqs.max()):
            self._save_snapshot()

    def _build_structure(self) -> None:
        has_built = self._maintenance.maintain(self._stopping)
        known = self._structure.rows.labels.known
        if has_built or known > GROWN * self._snapshot_known > 0:
            self._save_snapshot()

    def _built(self, build: Future[None]) -> None:
        if build.cancelled() or self._stopping.is_set():
            return
        if error := build.exception():
            # Search goes on exactly without it; the next write tries again.
            log.error("building the search structure failed", exc_info=error)
            return
        with contextlib.suppress(RuntimeError):  # closed just now
            self.start_if_due()  # rows may have come while the snapshot was written

    def _save_snapshot(self) -> None:
        token = uuid.uuid4().hex
        try:
            snapshot = self._structure.snapshot(token)
            save_snapshot(self._snapshot, snapshot, self._options)
            with self._structure.committing:
                self._store.set_snapshot_token(token)
        except Exception as error:
            log.warning("no snapshot was written; the next start takes longer: %s", error)
        else:
            self._snapshot_seq = int(snapshot.seqs.max(initial=0))
            self._snapshot_known = int((snapshot.labels >= 0).sum())

    def _load(self, dim: int) -> None:
        """Rows from the snapshot where there is one, and what was written since from SQLite."""
        seqs, ids = self._store.ids()
        id_of = dict(zip(seqs.tolist(), ids, strict=True))
        token = self._store.snapshot_token()
        snapshot = load_snapshot(self._snapshot, token, dim, self._options) if token else None
        after = 0
        if snapshot is not None and len(snapshot.seqs):
            # An item that is gone keeps its slot for a moment, under a name that no item can have.
            names = [id_of.get(seq, f"\0{seq}") for seq in snapshot.seqs.tolist()]
            self._structure.load(names, snapshot.seqs, snapshot.matrix)
            if snapshot.proposer is not None:
                self._structure.restore(snapshot.proposer, snapshot.labels, snapshot.target_recall)
            self._structure.remove([name for name in names if name.startswith("\0")])
            self._snapshot_seq = after = int(snapshot.seqs.max())
            self._snapshot_known = int((snapshot.labels >= 0).sum())
        while True:
            found, matrix = self._store.vectors(after, LOAD_ROWS)
            if not found:
                break
            self._structure.load([id_of[seq] for seq in found], np.asarray(found), matrix)
            after = found[-1]
        self._structure.load_columns({ALWAYS})
