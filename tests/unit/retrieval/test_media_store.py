"""The media store: content-addressed, durable before it returns, whole or absent."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.errors import StorageFull
from retrieval.media import FolderMedia, media_address

DATA = b"not really a picture"
ADDRESS = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was flushed, in order: `file`, or `folder` and its name."""
    flushed: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        flushed.append(f"folder {Path(f'/proc/self/fd/{handle}').readlink().name}" if is_folder else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    return flushed


def test_what_is_put_is_got(tmp_path: Path) -> None:
    store = FolderMedia(tmp_path / "media")
    assert store.get(ADDRESS) is None
    assert not store.exists(ADDRESS)
    assert store.put(DATA) == ADDRESS
    assert store.put(DATA) == ADDRESS
    assert store.exists(ADDRESS)
    assert store.get(ADDRESS) == DATA
    assert FolderMedia(tmp_path / "media").get(ADDRESS) == DATA


def test_the_file_and_its_name_are_flushed_before_put_returns(tmp_path: Path, synced: list[str]) -> None:
    store = FolderMedia(tmp_path)
    store.put(DATA)
    assert synced == [f"folder {tmp_path.name}"] * 2 + ["file", f"folder {ADDRESS[:2]}"]
    synced.clear()
    store.put(DATA)
    assert synced == [f"folder {ADDRESS[:2]}"], "a file that is there costs one flush of its folder"


def test_deleting_takes_what_was_derived_along(tmp_path: Path) -> None:
    store = FolderMedia(tmp_path)
    store.put(DATA)
    store.put_derived(ADDRESS, "thumb-256.webp", b"small")
    assert store.get_derived(ADDRESS, "thumb-256.webp") == b"small"
    store.delete(ADDRESS)
    store.delete(ADDRESS)
    assert store.get(ADDRESS) is None
    assert store.get_derived(ADDRESS, "thumb-256.webp") is None


@pytest.mark.parametrize("address", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 63 + "/"])
def test_only_addresses_name_files(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        FolderMedia(tmp_path).get(address)


def test_a_derived_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a name"):
        FolderMedia(tmp_path).put_derived(ADDRESS, "../x", b"")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderMedia(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            store.put(DATA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert store.put(DATA) == ADDRESS
    assert store.get(ADDRESS) == DATA


PUT_AND_DIE = """
import os, signal, stat, sys
from pathlib import Path
from retrieval.media import FolderMedia, media_address

store = FolderMedia(Path(sys.argv[1]))
store.put(b"one that is whole")
os.fsync = lambda handle: stat.S_ISREG(os.fstat(handle).st_mode) and os.kill(os.getpid(), signal.SIGKILL)
store.put(b"half")
"""


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PUT_AND_DIE, str(tmp_path)], cwd=Path(__file__).parents[3])
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.rglob("*.partial")
    FolderMedia(tmp_path)
    assert left.exists(), "it may be of a process that is writing now"
    os.utime(left, (0, 0))
    assert FolderMedia(tmp_path).get(media_address(b"one that is whole"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [media_address(b"one that is whole")]
