"""A media store in a folder: of this machine, or one that several share.

`put` returns when the file and its name are on disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from retrieval.durable import make_folder, replacing, sweep_partials, sync_folder
from retrieval.errors import StorageFull
from retrieval.media.base import PREFIXES, Aside, derived_path, is_address, media_address, relative_path

ABANDONED_S = 3600.0
"""A file that nobody has written to for so long is of a process that was killed: writing one takes seconds."""


class FolderMedia:
    """Implements `retrieval.media.MediaStore`. Never raises MediaUnavailable: a disk answers, or the kernel waits."""

    is_near = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = folder / ".writing"
        """Half-written files. In one folder: to look for what was abandoned among all files would take long."""
        sweep_partials(self._writing, ABANDONED_S)
        self._durable_folders: set[Path] = set()

    def put(self, data: bytes) -> str:
        address = media_address(data)
        path = self._path(address)
        if path.exists():
            # Another thread or process may have named it a moment ago and not yet flushed the name.
            self._make_folder(path.parent)
            sync_folder(path.parent)
        else:
            self._write(path, data)
        return address

    def exists(self, address: str) -> bool:
        return self._path(address).exists() or any(self._set_aside(address))

    def get(self, address: str) -> bytes | None:
        data = _read(self._path(address))
        if data is not None:
            return data
        for aside in self._set_aside(address):
            if (data := _read(self._folder / aside.path)) is not None:
                return data
        return _read(self._path(address))  # where it was brought back between the two looks

    def set_aside(self, address: str) -> None:
        path, aside = self._path(address), self._folder / Aside.now(address).path
        for derived in path.parent.glob(f"{address}.*"):
            derived.unlink(missing_ok=True)
        make_folder(aside.parent)
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)

    def aside(self, older_than_s: float) -> Iterator[Aside]:
        for prefix in PREFIXES:
            for name in _names(self._folder / ".aside" / prefix):
                aside = Aside.of_name(name)
                if aside is not None and aside.age_s >= older_than_s:
                    yield aside

    def bring_back(self, aside: Aside) -> None:
        path = self._path(aside.address)
        self._make_folder(path.parent)
        with contextlib.suppress(FileNotFoundError):
            (self._folder / aside.path).rename(path)
        sync_folder(path.parent)

    def drop(self, aside: Aside) -> None:
        (self._folder / aside.path).unlink(missing_ok=True)

    def walk(self) -> Iterator[str]:
        for prefix in PREFIXES:
            yield from filter(is_address, _names(self._folder / prefix))

    def age_s(self, address: str) -> float | None:
        try:
            return time.time() - self._path(address).stat().st_mtime
        except FileNotFoundError:
            return None

    def delete(self, address: str) -> None:
        path = self._path(address)
        for file in (*path.parent.glob(f"{address}.*"), path):
            file.unlink(missing_ok=True)

    def put_derived(self, address: str, name: str, data: bytes) -> None:
        self._write(self._folder / derived_path(address, name), data, is_durable=False)

    def get_derived(self, address: str, name: str) -> bytes | None:
        return _read(self._folder / derived_path(address, name))

    def _path(self, address: str) -> Path:
        return self._folder / relative_path(address)

    def _set_aside(self, address: str) -> Iterator[Aside]:
        for name in _names(self._folder / ".aside" / address[:2]):
            if name.startswith(address) and (aside := Aside.of_name(name)) is not None:
                yield aside

    def _make_folder(self, folder: Path) -> None:
        """Flushes the folder's own name even where it is there already: who made it may not have come so far."""
        if folder not in self._durable_folders:
            make_folder(folder)
            sync_folder(folder.parent)
            self._durable_folders.add(folder)

    def _write(self, path: Path, data: bytes, *, is_durable: bool = True) -> None:
        try:
            self._make_folder(path.parent)
            self._writing.mkdir(exist_ok=True)
            with replacing(path, self._writing, is_durable=is_durable) as file:
                file.write(data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(f"no room left for {len(data)} bytes under {path.parent.parent}") from error
            raise


def _names(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name
    except FileNotFoundError:
        return


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
