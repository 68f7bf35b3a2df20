"""Writing files so that they survive a power cut: a file is whole or absent, and its name is on disk with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from retrieval.errors import IndexLocked


def make_folder(folder: Path) -> None:
    """Creates a folder and its parents; each new name is on disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flushes a folder's list of names."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path, folder: Path | None = None, *, is_durable: bool = True) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` at the end: others see the old content or the new, never a part.

    It is written in `folder`, on the same file system; by default beside `path`. Nothing is left behind where the
    writing fails, and what a killed process leaves, `sweep_partials` removes. What is not durable may be empty or cut
    off after a power cut.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=folder or path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


def sweep_partials(folder: Path, older_than_s: float = 0.0) -> None:
    """Removes what killed processes left half-written in a folder. Without an age, only for who alone writes there."""
    for file in folder.glob(f".*{PARTIAL}"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps, too, or was not dead
            if time.time() - file.stat().st_mtime >= older_than_s:
                file.unlink()


class OwnerLock:
    """Says that this process owns a path. The kernel lets go of it when the process ends, however it ends."""

    def __init__(self, lock_path: Path, owned: Path) -> None:
        """Raises IndexLocked naming the process that has it."""
        self._handle = os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._handle)
            raise IndexLocked(
                f"{owned} is in use by process {holder}: stop that process (crossray down), or give another path"
            ) from None
        os.truncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Lets go. Calling it twice is fine."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
