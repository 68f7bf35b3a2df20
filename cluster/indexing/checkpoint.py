"""How far runs came with each source file, so that the next one does not read it again.

Only what the server acknowledged counts, so a process killed at any moment forgets at most a second's work; and an item
done twice is done once, because its id is the hash of its content.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.indexing.report import Failure
from cluster.indexing.rows import START, Mark, Shard
from retrieval.durable import make_folder

COMMIT_S = 1.0
PROOFS = 64
"""Ids of stored items that are kept: a server that does not have them is not the one that this file speaks of."""
FORMAT = 2

SCHEMA = """
CREATE TABLE IF NOT EXISTS shards (
    place TEXT NOT NULL, kind TEXT NOT NULL, stamp TEXT NOT NULL, done INTEGER NOT NULL, rows INTEGER NOT NULL,
    mark_offset INTEGER NOT NULL, mark_line INTEGER NOT NULL, failures TEXT NOT NULL, PRIMARY KEY (place, kind)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proofs (slot INTEGER PRIMARY KEY, id TEXT NOT NULL);
"""


@dataclass(slots=True)
class Remembered:
    """What is known of one shard: `rows` of it are settled, up to `mark`, and `failures` are among them."""

    mark: Mark = START
    rows: int = 0
    done: bool = False
    failures: list[Failure] = field(default_factory=list)


def checkpoint_path(folder: Path, *identity: str) -> Path:
    """The file for one server and one way of reading: all that would make another item of the same row."""
    digest = hashlib.sha256(json.dumps([FORMAT, *identity]).encode()).hexdigest()
    return folder / f"{digest[:16]}.sqlite3"


class Checkpoint:
    """One SQLite file. It is a cache: may be deleted at any time, and is deleted when it cannot be read."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises OSError where the folder cannot be written."""
        make_folder(path.parent)
        self._path = path
        self._clock = clock
        self._stored = 0
        try:
            self._database = self._open()
        except sqlite3.DatabaseError:
            path.unlink()
            self._database = self._open()
        self._committed = clock()

    def recall(self, shard: Shard) -> Remembered:
        """What is known of it, read as this kind; nothing where the file has changed since."""
        columns = "done, rows, mark_offset, mark_line, failures"
        query = f"SELECT {columns} FROM shards WHERE place = ? AND kind = ? AND stamp = ?"
        found = self._database.execute(query, (shard.place, shard.kind, shard.stamp)).fetchone()
        if found is None or not shard.stamp:
            return Remembered()
        done, rows, offset, line, failures = found
        return Remembered(Mark(offset, line), rows, bool(done), [Failure(*pair) for pair in json.loads(failures)])

    def note(self, shard: Shard, now: Remembered) -> None:
        """Keeps how far a shard is; on disk within a second, and on `close`."""
        failures = json.dumps([(failure.source, failure.reason) for failure in now.failures])
        values = (shard.place, shard.kind, shard.stamp, now.done, now.rows, *now.mark, failures)
        self._database.execute("INSERT OR REPLACE INTO shards VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        if self._clock() - self._committed > COMMIT_S:
            self.flush()

    def prove(self, item_id: str) -> None:
        """Keeps the id of an item that is stored, as one of an even sample of this run's."""
        self._stored += 1
        slot = self._stored - 1 if self._stored <= PROOFS else random.randrange(self._stored)  # noqa: S311
        if slot < PROOFS:
            self._database.execute("INSERT OR REPLACE INTO proofs VALUES (?, ?)", (slot, item_id))

    def proofs(self) -> list[str]:
        """Ids that the server must have for this file to be about it."""
        return [id for (id,) in self._database.execute("SELECT id FROM proofs")]

    def forget(self) -> None:
        """All of it: the next run reads everything."""
        self._database.executescript("DELETE FROM shards; DELETE FROM proofs;")
        self.flush()

    def retry_failed(self, shards: Sequence[Shard]) -> None:
        """After a run that came to its end: the shards with failures are read again by the next."""
        read = [(shard.place, shard.kind) for shard in shards]
        self._database.executemany("DELETE FROM shards WHERE place = ? AND kind = ? AND failures != '[]'", read)

    def flush(self) -> None:
        self._database.commit()
        self._committed = self._clock()

    def close(self) -> None:
        self.flush()
        self._database.close()

    def _open(self) -> sqlite3.Connection:
        # A run has it alone on one thread at a time; two runs at once overwrite each other's lines, which is harmless.
        database = sqlite3.connect(self._path, timeout=30, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(SCHEMA)
        return database


class ShardProgress:
    """Rows of one shard that are settled in any order, and the mark up to which all of them are."""

    def __init__(self, known: Remembered) -> None:
        self.known = known
        self._next = 0
        self._early: dict[int, tuple[Mark, bool, bool, Failure | None]] = {}

    def settle(self, number: int, after: Mark, *, last: bool, is_row: bool, failure: Failure | None) -> bool:
        """Step `number` of this run's reading, from 0 on, is done. True where the mark moved."""
        self._early[number] = (after, last, is_row, failure)
        moved = False
        while self._next in self._early:
            mark, done, counts, failed = self._early.pop(self._next)
            self._next += 1
            moved = True
            self.known.mark, self.known.done = mark, done
            self.known.rows += counts
            self.known.failures += [] if failed is None else [failed]
        return moved
