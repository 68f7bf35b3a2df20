"""The SQLite file's tables, version by version.

`seq` is an item's version: every write gives the item a new one, none is used twice (AUTOINCREMENT), and what is
stored under one never changes. So `seq` is also the change counter that a snapshot is compared by.

Vectors have a table of their own: walking the payloads does not read past them.
"""

from __future__ import annotations

import sqlite3

from retrieval.embedded.texts import CREATE_TEXTS, define_tokens
from retrieval.errors import IncompatibleIndex, SpaceMismatch

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE space (contract TEXT NOT NULL, dim INTEGER NOT NULL)",
        """CREATE TABLE items (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, text TEXT, media TEXT,
            mime TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL, source TEXT NOT NULL, tags TEXT NOT NULL,
            metadata TEXT NOT NULL)""",
        "CREATE TABLE vectors (seq INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
    ),
    (
        # Version 2: items know when they were made, and a snapshot of the search structure is named by a token.
        "ALTER TABLE items ADD COLUMN created_at REAL NOT NULL DEFAULT 0",
        "ALTER TABLE space ADD COLUMN snapshot TEXT NOT NULL DEFAULT ''",
    ),
    # Version 3: what was read off an image.
    ("ALTER TABLE items ADD COLUMN ocr_text TEXT",),
    # Version 4: search by words.
    CREATE_TEXTS,
)
"""What brings a file from version i to i + 1; a new file goes through all of them."""

SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection) -> int:
    """Brings the file to `SCHEMA_VERSION` in one transaction; says which version it had.

    Raises IncompatibleIndex where the file is of a newer Crossray or no index at all.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA_VERSION:
        raise IncompatibleIndex(f"the index has schema version {found}; this Crossray knows up to {SCHEMA_VERSION}")
    if found == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise IncompatibleIndex("the file is a SQLite database, but not an index of Crossray")
    if found < SCHEMA_VERSION:
        define_tokens(connection)
        connection.execute("BEGIN IMMEDIATE")
        for statements in MIGRATIONS[found:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    return int(found)


def claim_space(connection: sqlite3.Connection, contract_json: str, dim: int) -> None:
    """Writes the vector contract into a new file. Raises SpaceMismatch where another one is written."""
    row = connection.execute("SELECT contract, dim FROM space").fetchone()
    if row is None:
        connection.execute("INSERT INTO space (contract, dim) VALUES (?, ?)", (contract_json, dim))
    elif row[0] != contract_json:
        raise SpaceMismatch(row[0], contract_json)
    elif row[1] != dim:
        raise ValueError(f"the index holds vectors of {row[1]} dimensions, not {dim}")
