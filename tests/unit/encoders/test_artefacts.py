"""The cache of derived files: whole or absent, built once however many start, rebuilt when damaged."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from encoders import ModelUnavailable
from encoders.starter.artefacts import cached


def write_slowly(path: Path) -> None:
    """Leaves a trace of each build, and bytes that say which process made them."""
    with (path.parent / "builds").open("a") as log:
        log.write("built\n")
    with path.open("wb") as file:
        for _ in range(5):
            file.write(str(os.getpid()).encode() * 1000)
            file.flush()
            time.sleep(0.01)


def start(folder: Path, ready: multiprocessing.synchronize.Barrier) -> None:
    ready.wait(30)
    path = cached(folder, "model.bin", write_slowly)
    (folder / f"seen-{os.getpid()}").write_bytes(path.read_bytes())


def builds(folder: Path) -> int:
    return len((folder / "builds").read_text().splitlines())


def test_two_processes_that_start_at_once_build_once_and_see_the_same_bytes(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    processes = [context.Process(target=start, args=(tmp_path, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    first, second = (path.read_bytes() for path in tmp_path.glob("seen-*"))
    assert first == second
    assert len(first) >= 5_000
    assert builds(tmp_path) == 1


def test_an_intact_file_is_not_built_again(tmp_path: Path) -> None:
    paths = {cached(tmp_path / "new" / "folder", "model.bin", write_slowly) for _ in range(3)}
    assert len(paths) == 1
    assert builds(tmp_path / "new" / "folder") == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "deleted", "no digest", "digest of nonsense"])
def test_a_damaged_file_is_built_again(tmp_path: Path, damage: str) -> None:
    path = cached(tmp_path, "model.bin", write_slowly)
    whole, digest = path.read_bytes(), path.with_name("model.bin.sha256")
    match damage:
        case "cut":
            path.write_bytes(whole[:-1])
        case "flipped":
            path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        case "emptied":
            path.write_bytes(b"")
        case "deleted":
            path.unlink()
        case "no digest":
            digest.unlink()
        case _:
            digest.write_bytes(b"\xff\xfe")
    assert cached(tmp_path, "model.bin", write_slowly).read_bytes() == whole
    assert builds(tmp_path) == 2


def test_a_build_that_fails_leaves_nothing_in_its_place(tmp_path: Path) -> None:
    def fail_halfway(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        cached(tmp_path, "model.bin", fail_halfway)
    assert not (tmp_path / "model.bin").exists()
    assert cached(tmp_path, "model.bin", write_slowly).stat().st_size >= 5_000


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match="cache folder"):
        cached(tmp_path / "file", "model.bin", write_slowly)
