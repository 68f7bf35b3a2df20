"""The SQLite file: items, payloads and vectors, in WAL mode with `synchronous=FULL`.

One connection writes, and is used by one thread; one reads, for any thread, and one more searches by words, which may
take long. This module knows nothing of searching.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.base import Payload, Record, Vector
from retrieval.embedded.schema import claim_space, migrate
from retrieval.embedded.texts import match_expression, match_statement, write_texts
from retrieval.errors import IncompatibleIndex, IndexUnavailable, StorageFull
from retrieval.lexical import Term

COLUMNS = "kind, text, media, mime, width, height, source, tags, metadata, created_at, ocr_text"
PARAMETERS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One call's write: `records` under new `seqs`, in place of the items that were stored under `gone`."""

    records: Sequence[Record]
    seqs: Sequence[int]
    gone: Sequence[int]


class Store:
    def __init__(self, path: Path, contract_json: str, dim: int) -> None:
        """Opens or creates the file. Raises SpaceMismatch, IncompatibleIndex, StorageFull, IndexUnavailable."""
        self._dim = dim
        self._reading = threading.Lock()
        self._is_writing = False
        self._writer = _connect(path)
        try:
            with naming_errors(path):
                self.migrated_from = migrate(self._writer)
                claim_space(self._writer, contract_json, dim)
            self._reader = _connect(path)
            self._matcher = _connect(path)
        except BaseException:
            self._writer.close()
            raise
        self._matching = threading.Lock()
        self.path = path

    def write(self, changes: Iterable[Change]) -> None:
        """All of them in one transaction, on disk when this returns; or none. Raises StorageFull, IndexUnavailable."""
        with naming_errors(self.path), self._writing():
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                for change in changes:
                    self._write(change)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _write(self, change: Change) -> None:
        gone = [(seq,) for seq in change.gone]
        self._writer.executemany("DELETE FROM items WHERE seq = ?", gone)
        self._writer.executemany("DELETE FROM vectors WHERE seq = ?", gone)
        numbered = list(zip(change.seqs, change.records, strict=True))
        write_texts(self._writer, change.gone, numbered)
        self._writer.executemany(
            f"INSERT INTO items (seq, id, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(seq, record.id, *_to_row(record.payload)) for seq, record in numbered],
        )
        self._writer.executemany(
            "INSERT INTO vectors (seq, vector) VALUES (?, ?)",
            [(seq, record.vector.tobytes()) for seq, record in numbered],
        )

    def last_seq(self) -> int:
        """The highest seq ever given out."""
        rows = self._read("SELECT seq FROM sqlite_sequence WHERE name = 'items'")
        return int(rows[0][0]) if rows else 0

    def ids(self) -> tuple[NDArray[np.int64], list[str]]:
        """Every item's seq, ascending, and its id."""
        rows = self._read("SELECT seq, id FROM items INDEXED BY sqlite_autoindex_items_1")
        rows.sort()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows)), [row[1] for row in rows]

    def vectors(self, after: int, limit: int) -> tuple[list[int], Vector]:
        """Up to `limit` items with `seq > after`, by seq: their seqs and vectors `(n, dim)`."""
        rows = self._read("SELECT seq, vector FROM vectors WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), self._dim)
        return [row[0] for row in rows], matrix

    def column(self, name: str, after: int, limit: int) -> list[tuple[int, Any]]:
        """`(seq, value)` of one column of up to `limit` items with `seq > after`, by seq, as SQLite holds it."""
        return self._read(f"SELECT seq, {name} FROM items WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)

    def payloads(self, seqs: Sequence[int]) -> dict[int, Payload]:
        """By seq. One that is not there has been replaced or deleted."""
        found: dict[int, Payload] = {}
        for part in _parts(seqs):
            # A join is faster than IN, which sorts its list first.
            values = ",".join(["(?)"] * len(part))
            wanted = f"WITH wanted (row) AS (VALUES {values})"
            rows = self._read(f"{wanted} SELECT seq, {COLUMNS} FROM wanted CROSS JOIN items ON seq = row", *part)
            found.update(zip((row[0] for row in rows), _to_payloads([row[1:] for row in rows]), strict=True))
        return found

    def matching(self, query: Sequence[Term], limit: int) -> list[tuple[str, float, Payload]]:
        """Up to `limit` items that hold one of the terms, those of the highest BM25: id, score and payload, unordered.

        Works through every item that holds one; vectors and payloads are read meanwhile.
        """
        with naming_errors(self.path), self._matching:
            rows = self._matcher.execute(match_statement(COLUMNS), (match_expression(query), limit)).fetchall()
        payloads = _to_payloads([row[3:] for row in rows])
        return [(row[1], row[2], payload) for row, payload in zip(rows, payloads, strict=True)]

    def records(self, ids: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            where = f"WHERE id IN ({marks})"
            found.update((record.id, record) for record in self._records(where, *part))
        return found

    def scan(self, after: str, limit: int) -> list[Record]:
        return self._records("WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    def _records(self, where: str, *parameters: Any) -> list[Record]:
        rows = self._read(f"SELECT id, vector, {COLUMNS} FROM items JOIN vectors USING (seq) {where}", *parameters)
        payloads = _to_payloads([row[2:] for row in rows])
        return [
            Record(row[0], np.frombuffer(row[1], np.float32), payload)
            for row, payload in zip(rows, payloads, strict=True)
        ]

    def snapshot_token(self) -> str:
        return str(self._read("SELECT snapshot FROM space")[0][0])

    def set_snapshot_token(self, token: str) -> None:
        """Only whoever holds writes back may call this."""
        with naming_errors(self.path), self._writing():
            self._writer.execute("UPDATE space SET snapshot = ?", (token,))

    def _read(self, statement: str, *parameters: Any) -> list[Any]:
        with naming_errors(self.path), self._reading:
            if not (self._is_writing or self._reader.in_transaction):
                # One view for all reads until the next write: opening a view costs as much as reading three rows.
                self._reader.execute("BEGIN")
            return self._reader.execute(statement, parameters).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """The reader lets go of its view, which would be old, and would keep SQLite from folding in its log."""
        with self._reading:
            self._is_writing = True
            if self._reader.in_transaction:
                self._reader.execute("COMMIT")
        try:
            yield
        finally:
            self._is_writing = False

    def close(self) -> None:
        """Folds the log into the file."""
        self._reader.close()
        self._matcher.close()
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._writer.close()


def _connect(path: Path) -> sqlite3.Connection:
    with naming_errors(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
            connection.execute(f"PRAGMA {pragma}")
    return connection


@contextlib.contextmanager
def naming_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL:
            raise StorageFull(f"no room for the index at {path}: nothing was written") from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise IncompatibleIndex(f"{path} is not an index, or it is damaged: {error}") from error
        raise IndexUnavailable(f"the index at {path}: {error}") from error


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), PARAMETERS_PER_STATEMENT):
        yield values[start : start + PARAMETERS_PER_STATEMENT]


def _to_row(payload: Payload) -> tuple[Any, ...]:
    return (
        payload.kind,
        payload.text,
        payload.media,
        payload.mime,
        payload.width,
        payload.height,
        payload.source,
        json.dumps(payload.tags, ensure_ascii=False),
        json.dumps(dict(payload.metadata), ensure_ascii=False),
        float(payload.created_at),
        payload.ocr_text,
    )


def _to_payloads(rows: Sequence[tuple[Any, ...]]) -> list[Payload]:
    # Parsed together: a call for each would cost as much as the rest of reading a hit.
    tags = json.loads(f"[{','.join([row[7] for row in rows])}]")
    metadata = json.loads(f"[{','.join([row[8] for row in rows])}]")
    return [
        Payload(
            kind=kind,
            text=text,
            media=media,
            mime=mime,
            width=width,
            height=height,
            source=source,
            tags=tuple(tags[i]),
            metadata=metadata[i],
            created_at=created_at,
            ocr_text=ocr_text,
        )
        for i, (kind, text, media, mime, width, height, source, _, _, created_at, ocr_text) in enumerate(rows)
    ]
