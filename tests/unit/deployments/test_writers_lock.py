"""Who removes files does so alone: not while others add items that may name them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.item_files import ItemFiles
from deployments.local import LocalIndex
from deployments.writers_lock import WritersLock
from encoders.images import ImageLimits
from retrieval import FolderMedia
from retrieval.memory import MemoryIndex


def test_several_share_and_nobody_is_alone_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "data" / "writers.lock"
    remover, first, second = (WritersLock(path) for _ in range(3))
    with remover.alone() as alone:
        assert alone
    first.share()
    second.share()
    first.release()
    with remover.alone() as alone:
        assert not alone
    second.release()
    with remover.alone() as alone:
        assert alone


def test_removals_overlap_and_the_last_one_lets_go(tmp_path: Path) -> None:
    remover, other = WritersLock(tmp_path / "lock"), WritersLock(tmp_path / "lock")
    with remover.alone() as outer:
        with remover.alone() as inner:
            assert (outer, inner) == (True, True)
        with other.alone() as alone:
            assert not alone
    with other.alone() as alone:
        assert alone


def test_a_writer_waits_for_a_removal_under_way(tmp_path: Path) -> None:
    remover, writer = WritersLock(tmp_path / "lock"), WritersLock(tmp_path / "lock")
    shared = threading.Event()
    with remover.alone():
        thread = threading.Thread(target=lambda: (writer.share(), shared.set()))
        thread.start()
        assert not shared.wait(0.1)
    assert shared.wait(10)
    thread.join()
    writer.release()


PROGRAM = """
import sys
from pathlib import Path
from deployments.writers_lock import WritersLock
WritersLock(Path(sys.argv[1])).share()
print("shared", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes items, as far as the lock knows."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"shared\n"
    yield process
    process.kill()
    process.communicate()


async def test_a_file_stays_while_another_process_writes_items(
    tmp_path: Path, other_process: subprocess.Popen[bytes]
) -> None:
    media = FolderMedia(tmp_path / "media")
    index, lock = LocalIndex(MemoryIndex(8)), WritersLock(tmp_path / "lock")
    files = ItemFiles(media, index, ImageLimits(), sole_writer=True, thumbnails=False, others=lock)
    address = media.put(b"photo")
    await files.release(address)
    assert media.exists(address)
    other_process.kill()
    other_process.communicate()
    await files.release(address)
    assert not media.exists(address), "the kernel frees the lock of a process that is gone"
