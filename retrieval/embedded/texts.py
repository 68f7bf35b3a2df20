"""Search by words in SQLite's FTS5: a table of tokens beside the items, written in the same transaction.

FTS5 cannot cut Chinese (its trigrams miss words of two characters, its default tokenizer takes a whole run for one
word), and Python cannot give it a tokenizer: so what it stores are the tokens of `retrieval.lexical`, with spaces
between. Items without any text have no row there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from retrieval.base import Record
from retrieval.lexical import Term, text_of, tokens

TOKENS_FUNCTION = "crossray_tokens"
CREATE_TEXTS = (
    # Accents are gone already; what FTS5 would fold beyond that, the oracle would not.
    "CREATE VIRTUAL TABLE texts USING fts5(tokens, tokenize = 'unicode61 remove_diacritics 0')",
    f"INSERT INTO texts (rowid, tokens) SELECT seq, {TOKENS_FUNCTION}(text, ocr_text) FROM items "
    "WHERE text IS NOT NULL OR ocr_text > ''",
)
"""Statements that add the table to a file whose items are there already."""


def define_tokens(connection: sqlite3.Connection) -> None:
    """Gives SQL the function that `CREATE_TEXTS` calls."""

    def joined(*texts: str | None) -> str:
        return " ".join(tokens("\n".join(text for text in texts if text)))

    connection.create_function(TOKENS_FUNCTION, 2, joined, deterministic=True)


def write_texts(connection: sqlite3.Connection, gone: Iterable[int], numbered: Iterable[tuple[int, Record]]) -> None:
    """Within the caller's transaction."""
    connection.executemany("DELETE FROM texts WHERE rowid = ?", [(seq,) for seq in gone])
    rows = [(seq, " ".join(tokens(text))) for seq, record in numbered if (text := text_of(record.payload))]
    connection.executemany("INSERT INTO texts (rowid, tokens) VALUES (?, ?)", rows)


def match_statement(columns: str) -> str:
    """Parameters: `match_expression`, and a limit. Rows: seq, id, score (higher is better), and the columns.

    One statement, so that a write in between cannot take an item away under its hit.
    """
    return (
        "WITH found (row, score) AS MATERIALIZED (SELECT rowid, -bm25(texts) FROM texts WHERE texts MATCH ? "
        "ORDER BY bm25(texts) LIMIT ?) "
        f"SELECT seq, id, score, {columns} FROM found CROSS JOIN items ON seq = row"
    )


def match_expression(query: Sequence[Term]) -> str:
    """Any of the terms. They hold letters and digits only, so nothing in them can be syntax."""
    return " OR ".join(f'"{term.token}"' + (" *" if term.is_prefix else "") for term in query)
