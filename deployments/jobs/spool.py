"""The bytes of a job's uploads until its items are stored: one file a job, in which each item is a range.

One file, because a flush a job is cheap and a flush an item is not; and because nothing is ever written to a path that
comes from the name of an upload or of an archive's member.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from retrieval.durable import make_folder, replacing, sweep_partials
from retrieval.errors import StorageFull

ABANDONED_S = 3600.0
"""A file without a job is of a request that died between the two: writing the rows takes seconds."""
_KEY = re.compile(r"[0-9a-f]{32}")


class SpoolWriter:
    """Appends to a file; `key` is its name."""

    def __init__(self, key: str, file: IO[bytes]) -> None:
        self.key = key
        self._file = file
        self._size = 0

    def append(self, data: bytes) -> dict[str, Any]:
        """Where the data is, as a row of the job's items says it."""
        self._file.write(data)
        start = self._size
        self._size += len(data)
        return {"kind": "spool", "key": self.key, "start": start, "length": len(data)}


class Spool:
    """A folder of jobs' files. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextlib.contextmanager
    def writing(self) -> Iterator[SpoolWriter]:
        """A new file, whole and on disk after the block; one that raised leaves nothing. Raises StorageFull."""
        key = uuid.uuid4().hex
        try:
            make_folder(self._folder)
            sweep_partials(self._folder, ABANDONED_S)
            with replacing(self._path(key)) as file:
                yield SpoolWriter(key, file)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("no room left for the upload") from error
            raise

    def read(self, key: str, start: int, length: int) -> bytes:
        """Raises FileNotFoundError, and EOFError where the file is shorter."""
        handle = os.open(self._path(key), os.O_RDONLY)
        try:
            data = os.pread(handle, length, start)
        finally:
            os.close(handle)
        if len(data) != length:
            raise EOFError("the file of the job's uploads is cut off")
        return data

    def keys(self) -> list[str]:
        """Of all files that are whole. What else lies there is not the spool's."""
        return sorted(path.name for path in self._folder.glob("[!.]*") if _KEY.fullmatch(path.name))

    def remove(self, key: str) -> None:
        """One that is not there is fine."""
        self._path(key).unlink(missing_ok=True)

    def remove_abandoned(self, key: str) -> None:
        """Removes a file that no job knows, once it is too old for its job's rows still to be written."""
        with contextlib.suppress(FileNotFoundError):
            if time.time() - self._path(key).stat().st_mtime > ABANDONED_S:
                self.remove(key)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not the key of a job's uploads: {key[:80]!r}")
        return self._folder / key
