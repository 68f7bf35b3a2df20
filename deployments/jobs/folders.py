"""Folders of the server that jobs may read: those below the roots that the settings name, and nothing that a link
leads to.

Every step of a path is opened relative to the one before without following links (openat(2) with O_NOFOLLOW), so that
exchanging a folder for a link between the check and the reading gains nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from deployments.errors import BadRequest, CrossrayError, Forbidden, Unavailable
from encoders.errors import InputError

_NOT_THERE = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
"""Gone, or exchanged for something else. Any other error of opening may pass: too few handles, a disk, a right."""


class ServerFolders:
    """The roots. Without any, no folder may be read."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = {str(root): root.resolve() for root in roots}

    def files(self, folder: str, most: int) -> list[tuple[str, str]]:
        """Root and path below it of every regular file in a folder, in order. Hidden names and links are passed over.

        Raises Forbidden where the folder is outside of all roots, BadRequest where it or a folder in it cannot be read
        or it holds more than `most` files, Unavailable where a root is missing or the disk fails.
        """
        root, inside = self._place(folder)
        found: list[tuple[str, str]] = []
        try:
            handle = _open_folder(self._roots[root], inside.parts)
        except OSError as error:
            raise _unreadable(folder, error) from error
        try:
            for path in _walk(handle, inside):
                found.append((root, str(path)))
                if len(found) > most:
                    raise BadRequest(
                        f"the folder holds more than {most} files: give its parts", "folder", "too_many_items"
                    )
        finally:
            os.close(handle)
        return found

    def read(self, root: str, path: str, max_bytes: int) -> bytes:
        """A file that `files` named. Raises InputError where it is gone, may not be read any more or is too large;
        Unavailable where its root is missing, and OSError where the system does, which another attempt may not meet."""
        if root not in self._roots:
            raise InputError(f"{root} is no folder that jobs may read any more", "forbidden", "folder")
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or path.startswith("/"):
            raise InputError("not a path below its folder", "forbidden", "folder")
        try:
            return _read_file(self._roots[root], parts, max_bytes)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            raise InputError("the file is gone, or it or its folder is now a link", "file_gone", "folder") from error

    def _place(self, folder: str) -> tuple[str, PurePosixPath]:
        """The root that the folder is below, and its path from there."""
        if "\0" in folder or not Path(folder).is_absolute():
            raise BadRequest("the folder must be an absolute path on the server", "folder")
        if ".." in PurePosixPath(folder).parts:
            raise Forbidden("the folder's path has a step upwards", "folder", "folder_not_allowed")
        for name, root in self._roots.items():
            for base in (Path(name), root):
                if Path(folder).is_relative_to(base):
                    return name, PurePosixPath(Path(folder).relative_to(base))
        raise Forbidden("the folder is not below one of jobs.folders", "folder", "folder_not_allowed")


_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def _open_folder(root: Path, parts: Sequence[str]) -> int:
    """A handle of the folder. The root itself is taken as the settings resolve it. Raises Unavailable where that is
    missing: a disk that is not mounted, say."""
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{root} cannot be read now: {error.strerror}", "folder") from error
    for part in parts:
        try:
            inner = os.open(part, _STEP | os.O_DIRECTORY, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle


def _walk(handle: int, below: PurePosixPath) -> Iterator[PurePosixPath]:
    """What vanishes meanwhile is passed over; what cannot be read raises, for a job without it would look whole."""
    try:
        with os.scandir(handle) as entries:
            kinds = {e.name: _kind(e) for e in entries if not e.name.startswith(".")}
    except OSError as error:
        raise _unreadable(str(below), error) from error
    for name, kind in sorted(kinds.items()):
        if kind == "file":
            yield below / name
        elif kind == "folder":
            try:
                inner = os.open(name, _STEP | os.O_DIRECTORY, dir_fd=handle)
            except OSError as error:
                if error.errno in _NOT_THERE:
                    continue
                raise _unreadable(str(below / name), error) from error
            try:
                yield from _walk(inner, below / name)
            finally:
                os.close(inner)


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder"] | None:
    if entry.is_file(follow_symlinks=False):
        return "file"
    return "folder" if entry.is_dir(follow_symlinks=False) else None


def _unreadable(folder: str, error: OSError) -> CrossrayError:
    """The caller's to mend where the folder is not there or not to be read, else the server's."""
    said = f"the folder {folder} cannot be read: {error.strerror}"
    if error.errno in (*_NOT_THERE, errno.EACCES, errno.EPERM):
        return BadRequest(said, "folder", "unreadable_folder")
    return Unavailable(said, "folder", "unreadable_folder")


def _read_file(root: Path, parts: Sequence[str], max_bytes: int) -> bytes:
    folder = _open_folder(root, parts[:-1])
    try:
        # Not blocking, for a pipe that took the file's place would.
        handle = os.open(parts[-1], _STEP | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError("not a regular file", "unreadable_file", "folder")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"the file is over the limit of {max_bytes} bytes", "too_large", "folder")
    return data
