"""Whether others write items beside the one who removes files that no item names: a lock file in the data folder.

Between a look at who names a file and its removal nobody else may add an item that names it. Several hold the lock
together who only add; who removes holds it alone, and removes nothing where that is not to be had.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class WritersLock:
    """One lock file (flock(2)): the kernel frees it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._file: int | None = None
        self._inside = 0

    def share(self) -> None:
        """From now on until `release`, or the end of this process, nobody removes. Waits for a removal under way."""
        self._file = self._open()
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether nobody else writes; if so nobody begins to before the block ends. Blocks of one lock may overlap."""
        with self._mutex:
            if self._inside == 0 and not self._take():
                has = False
            else:
                has, self._inside = True, self._inside + 1
        try:
            yield has
        finally:
            if has:
                with self._mutex:
                    self._inside -= 1
                    if self._inside == 0:
                        self.release()

    def _take(self) -> bool:
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
