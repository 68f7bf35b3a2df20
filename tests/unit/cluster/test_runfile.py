"""Which process runs a cluster: a pid with its start time, in a file that is whole or absent."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster.runfile import RunFile, read_runfile, remove_runfile, write_runfile


def run_of(process: psutil.Process, folder: Path) -> RunFile:
    return RunFile(process.pid, process.create_time(), "http://127.0.0.1:1", "local", str(folder), "", "ready")


def test_what_was_written_is_read_while_its_process_lives(tmp_path: Path) -> None:
    run = run_of(psutil.Process(), tmp_path)
    write_runfile(tmp_path / "new" / "folder", run)
    assert read_runfile(tmp_path / "new" / "folder") == run
    remove_runfile(tmp_path / "new" / "folder")
    assert read_runfile(tmp_path / "new" / "folder") is None


def test_a_pid_that_another_process_has_now_is_not_the_one(tmp_path: Path) -> None:
    run = run_of(psutil.Process(), tmp_path)
    write_runfile(tmp_path, dataclasses.replace(run, create_time=run.create_time - 60))
    assert read_runfile(tmp_path) is None
    assert list(tmp_path.iterdir()) == [], "a dead one's file is removed"


def test_a_process_that_ended_is_not_running(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_runfile(tmp_path, run_of(psutil.Process(child.pid), tmp_path))
    assert read_runfile(tmp_path) is not None
    child.communicate(b"\n")
    assert read_runfile(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "surprise": 2}', "null"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert read_runfile(tmp_path) is None
