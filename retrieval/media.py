"""Where the bytes of images live: content-addressed files under one folder.

A file is named by the sha256 of its content, so writing it twice is writing it once, and several processes may share
the folder. `put` returns when the file and its name are on disk.
"""

from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path

from retrieval.durable import make_folder, replacing, sweep_partials, sync_folder
from retrieval.errors import StorageFull

ABANDONED_S = 3600.0
"""A file that nobody has written to for so long is of a process that was killed: writing one takes seconds."""


class MediaStore:
    """Files by content, and small files derived from them, which may be lost and made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = folder / ".writing"
        """Half-written files. In one folder: to look for what was abandoned among all files would take long."""
        sweep_partials(self._writing, ABANDONED_S)
        self._durable_folders: set[Path] = set()

    @staticmethod
    def address(data: bytes) -> str:
        """The name of these bytes: 64 hex digits."""
        return hashlib.sha256(data).hexdigest()

    def put(self, data: bytes) -> str:
        """Stores bytes durably and returns their address. Raises StorageFull; then nothing is left behind."""
        address = self.address(data)
        path = self._path(address)
        if path.exists():
            # Another thread or process may have named it a moment ago and not yet flushed the name.
            self._make_folder(path.parent)
            sync_folder(path.parent)
        else:
            self._write(path, data)
        return address

    def exists(self, address: str) -> bool:
        return self._path(address).exists()

    def get(self, address: str) -> bytes | None:
        """The bytes at an address; None where there are none."""
        return _read(self._path(address))

    def delete(self, address: str) -> None:
        """Removes a file and what was derived from it. An address that is not there is fine."""
        path = self._path(address)
        for file in (*path.parent.glob(f"{address}.*"), path):
            file.unlink(missing_ok=True)

    def put_derived(self, address: str, name: str, data: bytes) -> None:
        """Keeps something made from a file, such as a thumbnail. Raises StorageFull."""
        self._write(self._derived(address, name), data)

    def get_derived(self, address: str, name: str) -> bytes | None:
        """What `put_derived` kept under that name; None where there is nothing."""
        return _read(self._derived(address, name))

    def _path(self, address: str) -> Path:
        if len(address) != 64 or not set(address) <= set("0123456789abcdef"):
            raise ValueError(f"not the address of a stored file: {address[:80]!r}")
        return self._folder / address[:2] / address

    def _derived(self, address: str, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
            raise ValueError(f"not a name for a derived file: {name!r}")
        return self._path(address).with_name(f"{address}.{name}")

    def _make_folder(self, folder: Path) -> None:
        """Flushes the folder's own name even where it is there already: who made it may not have come so far."""
        if folder not in self._durable_folders:
            make_folder(folder)
            sync_folder(folder.parent)
            self._durable_folders.add(folder)

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._make_folder(path.parent)
            self._writing.mkdir(exist_ok=True)
            with replacing(path, self._writing) as file:
                file.write(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(f"no room left for {len(data)} bytes under {path.parent.parent}") from error
            raise


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
