"""The vectors of an index that no process owns, for tools that look at them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np

from retrieval.base import Vector
from retrieval.durable import OwnerLock
from retrieval.embedded.store import naming_errors
from retrieval.errors import IncompatibleIndex

PAGE_ROWS = 4_096


def read_vectors(folder: Path, advance: Callable[[int], None] = lambda _: None) -> Vector:
    """`(n, dim)` float32, in the order in which they were written; `advance` hears of every page.

    Raises IndexLocked while a process owns the index, IncompatibleIndex where there is none in `folder`.
    """
    path = folder / "index.sqlite"
    if not path.is_file():
        raise IncompatibleIndex(f"there is no embedded index in {folder}")
    owner = OwnerLock(folder / "LOCK", owned=folder)
    try:
        with (
            naming_errors(path),
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file,
        ):
            ((dim,),) = file.execute("SELECT dim FROM space").fetchall()
            ((count,),) = file.execute("SELECT count(*) FROM vectors").fetchall()
            matrix, filled = np.empty((count, dim), dtype=np.float32), 0
            rows = file.execute("SELECT vector FROM vectors ORDER BY seq")
            while page := rows.fetchmany(PAGE_ROWS):
                block = np.frombuffer(b"".join(row[0] for row in page), np.float32).reshape(len(page), dim)
                matrix[filled : filled + len(page)] = block
                filled += len(page)
                advance(len(page))
    finally:
        owner.release()
    return matrix
