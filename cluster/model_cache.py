"""A folder of checkpoints that several machines fill and read: one pulls, the others wait, nobody pulls twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.checkpoints import Checkpoint, find_checkpoint
from encoders.errors import ModelUnavailable

LOCK_FILE = ".pull.lock"


def pull_if_missing(model: str, revision: str | None, models_dir: Path, pull: Callable[[], Checkpoint]) -> Checkpoint:
    """The checkpoint of `find_checkpoint`, after `pull()` where there is none yet.

    Pulling anew would take the checkpoint away from whoever starts meanwhile. The lock is the kernel's, and on NFS the
    server's; it goes with the process that holds it, and the next one resumes what that left.
    """
    found = _find(model, revision, models_dir)
    if found is not None:
        return found
    models_dir.mkdir(parents=True, exist_ok=True)
    with _locked(models_dir / LOCK_FILE):
        return _find(model, revision, models_dir) or pull()


def _find(model: str, revision: str | None, models_dir: Path) -> Checkpoint | None:
    try:
        return find_checkpoint(model, revision, models_dir)
    except ModelUnavailable:
        return None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
