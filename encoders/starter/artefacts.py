"""Files derived once and kept: exported models and the joint space.

A file is written beside its final name, synced, and renamed; its SHA-256 stands in a second file. What is missing or
does not match its digest is built again. An exclusive lock on the folder lets one process build while others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.errors import ModelUnavailable


def cached(folder: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The path of `folder/name`, intact; `build(path)` writes it where it is missing or damaged.

    Raises ModelUnavailable where the folder cannot be written.
    """
    target = folder / name
    if _intact(target):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock"):
            if not _intact(target):
                _build(target, build)
    except OSError as error:
        raise ModelUnavailable(f"cannot write {name} into the cache folder {folder}: {error}") from error
    return target


def _build(target: Path, build: Callable[[Path], None]) -> None:
    # One fixed name is enough under the lock, and what a killed process left there is overwritten.
    unfinished = target.with_name(f"unfinished-{target.name}")
    build(unfinished)
    digest = _digest(unfinished)
    _replace(unfinished, target)
    record = target.with_name(f"unfinished-{target.name}.sha256")
    record.write_text(digest)
    _replace(record, _record_of(target))


def _replace(source: Path, target: Path) -> None:
    """Renames durably: the bytes before the name, the name before we return."""
    _sync(source)
    source.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _intact(target: Path) -> bool:
    try:
        return _record_of(target).read_text() == _digest(target)
    except (OSError, UnicodeDecodeError):
        return False


def _record_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
