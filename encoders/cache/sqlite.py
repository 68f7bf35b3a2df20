"""The embedding cache in a file: SQLite with a write-ahead log, bounded in bytes, shared by processes of one machine.

Entries lie in the order they were written, so the oldest are put out a tenth at a time. One that is asked for while it
lies in the oldest quarter of a nearly full file is written anew: first in, first out with a second chance (Corbató,
1968), which comes close to least recently used and costs a hit nothing as long as there is room.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from encoders.base import Vectors
from encoders.cache.entries import pack, unpack

log = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E")

SCHEMA = "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL)"
SETTINGS = (
    "PRAGMA journal_mode = WAL",
    # A power failure may cost the newest entries; it cannot damage the file, and it is a cache.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 4194304",
)
USED_BYTES = """SELECT (page_count - freelist_count) * page_size AS used
FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""
VERSION = 1
PAGE = 256
"""Entries in a statement. Python's lock is given up in each: while the event loop is busy, taking it again costs more
than the statement does."""
LOOKUP_STATEMENTS, WRITE_STATEMENTS = 128, 4
"""There is one for each number of entries, and it keeps what was last bound to it: keys are small, vectors are not."""
OPEN_WAIT_S = 2.0
READ_WAIT_S = 0.02
WRITE_WAIT_S = 1.0
EVICT_TO = 0.9
"""Eviction frees this much at once, so that not every write evicts."""
SECOND_CHANCE_FROM = 0.8
"""How full the file is before entries get a second chance."""


class SqliteCache:
    """An EmbeddingCache of vectors of `dim` columns in the file `path`, at most about `max_bytes` large.

    Opened when it is first used, on threads of its own: one reads, one writes. A file that is no longer a database is
    moved aside and a new one is begun. Calls raise `sqlite3.Error` or OSError.
    """

    def __init__(self, path: Path, dim: int, *, max_bytes: int) -> None:
        self._path = path
        self._dim = dim
        self._max_bytes = max_bytes
        self._reader = _Connection(path, READ_WAIT_S, statements=LOOKUP_STATEMENTS)
        self._writer = _Connection(path, WRITE_WAIT_S, statements=WRITE_STATEMENTS)
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="cache-read")
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="cache-write")
        self._old_below = 0
        self._closed = False

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        found, old = await self._on(self._read_thread, lambda: self._get(keys))
        if old:
            self._write_thread.submit(self._quietly_renew, old)
        return found

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        packed = {key: pack(key, vector) for key, vector in entries.items()}
        await self._on(self._write_thread, lambda: self._put(packed))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._on(self._read_thread, self._reader.close)
        await self._on(self._write_thread, self._writer.close)
        self._read_thread.shutdown(wait=False)
        self._write_thread.shutdown(wait=False)

    @staticmethod
    async def _on(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    def _get(self, keys: Sequence[bytes]) -> tuple[list[Vectors | None], dict[bytes, bytes]]:
        """What was found, and of that, what lies where the next eviction comes by."""

        def select(db: sqlite3.Connection) -> tuple[list[Vectors | None], dict[bytes, bytes]]:
            found: dict[bytes, Vectors | None] = {}
            old: dict[bytes, bytes] = {}
            for page in _pages(keys):
                marks = ",".join("?" * len(page))
                rows = db.execute(f"SELECT key, id, vector FROM entries WHERE key IN ({marks})", page)
                for key, id, packed in rows.fetchall():
                    found[key] = unpack(key, packed, self._dim)
                    if found[key] is not None and id < self._old_below:
                        old[key] = packed
            return [found.get(key) for key in keys], old

        return self._reader.use(select)

    def _put(self, packed: Mapping[bytes, bytes]) -> None:
        def insert(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                for page in _pages(list(packed.items())):
                    marks = ",".join(["(?, ?)"] * len(page))
                    flat = [value for entry in page for value in entry]
                    db.execute(f"INSERT OR REPLACE INTO entries (key, vector) VALUES {marks}", flat)
                self._evict(db)

        self._writer.use(insert)

    def _quietly_renew(self, old: Mapping[bytes, bytes]) -> None:
        try:
            self._put(old)
        except (sqlite3.Error, OSError) as error:
            log.debug("entries were not renewed: %s", error)

    def _evict(self, db: sqlite3.Connection) -> None:
        """Deletes the oldest entries once the file is over its bound, and notes below which id entries are old."""
        first, last, used = db.execute(
            "SELECT (SELECT min(id) FROM entries), (SELECT max(id) FROM entries), used FROM (" + USED_BYTES + ")"
        ).fetchone()
        if first is None:
            return
        if used > self._max_bytes:
            # Deleted ids are not given again, and a renewed entry leaves a gap: the share of ids is the share of
            # bytes only roughly, so it is done again while the file is too large.
            share = 1 - EVICT_TO * self._max_bytes / used
            while used > self._max_bytes and first <= last:
                first += max(int((last + 1 - first) * share), 1)
                db.execute("DELETE FROM entries WHERE id < ?", (first,))
                ((used,),) = db.execute(USED_BYTES)
        nearly_full = used > SECOND_CHANCE_FROM * self._max_bytes
        self._old_below = first + (last - first) // 4 if nearly_full else 0


class _Connection:
    """One thread's connection: opened when needed, and begun anew when the file is damaged."""

    _moving = threading.Lock()

    def __init__(self, path: Path, wait_s: float, *, statements: int) -> None:
        """`statements` are kept prepared."""
        self._path = path
        self._wait_s = wait_s
        self._statements = statements
        self._db: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` on the connection; once more on a new file when the one there is damaged."""
        try:
            return work(self._open())
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._start_anew()
            return work(self._open())

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Each connection stays with one thread of an executor, and is closed there too.
            db = sqlite3.connect(
                self._path,
                timeout=OPEN_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=self._statements,
            )
            try:
                for setting in SETTINGS:
                    db.execute(setting)
                _require_schema(db)
                db.execute(f"PRAGMA busy_timeout = {int(self._wait_s * 1000)}")
            except BaseException:
                db.close()
                raise
            self._db = db
            self._file = _identity(self._path)
        return self._db

    def _start_anew(self) -> None:
        """Moves the damaged file aside, unless another thread or process has done so already."""
        opened = self._file
        self.close()
        self._file = None
        with self._moving:
            if opened is not None and _identity(self._path) != opened:
                return
            aside = self._path.with_name(f"{self._path.name}.damaged")
            log.warning("the embedding cache %s is damaged: moved to %s, starting anew", self._path, aside.name)
            self._path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _pages(entries: Sequence[E]) -> Iterator[Sequence[E]]:
    return (entries[start : start + PAGE] for start in range(0, len(entries), PAGE))


def _require_schema(db: sqlite3.Connection) -> None:
    """Creates the table in an empty file; a file of another layout counts as damaged."""
    with db:
        if db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        db.execute("BEGIN IMMEDIATE")  # looked at again under the lock: another process may be creating it
        if db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("the file holds another layout")
        db.execute(SCHEMA)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Damage, and not a lock that is held or a disk that is full."""
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in codes


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this path is: device and inode."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino
