"""Result files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from retrieval.durable import make_folder, replacing


@contextmanager
def open_result(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends well. Missing folders are made."""
    make_folder(path.absolute().parent)
    with replacing(path) as file:
        # Temporary files are for their owner's eyes only; a result is a file like any other.
        os.fchmod(file.fileno(), 0o644)
        yield file


def write_text(path: Path, content: str) -> None:
    """UTF-8, whole or not at all."""
    with open_result(path) as file:
        file.write(content.encode())
