"""Runs that were cut off go on where they were, and notice when that is no longer true."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.client import Client
from cluster.indexing import checkpoint as module
from cluster.indexing.checkpoint import Checkpoint, Remembered, ShardProgress
from cluster.indexing.columns import Columns
from cluster.indexing.ledger import Ledger
from cluster.indexing.places import stamp_of
from cluster.indexing.plan import IndexPlan
from cluster.indexing.report import Failure, IndexReport
from cluster.indexing.rows import Mark, Shard
from cluster.indexing.sources import find_sources
from cluster.indexing.upload import Indexer
from encoders.fake import FakeEncoder
from tests.unit.cluster.conftest import Serve
from tests.unit.cluster.pictures import picture


class Source:
    """Photos in a folder and a table of 40 texts, and runs over both that can be cut off."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client, self.folder = client, folder
        (folder / "photos").mkdir(parents=True)
        for n in range(10):
            (folder / f"photos/{n}.png").write_bytes(picture(colour=(n, n, n)))
        self.table = folder / "texts.jsonl"
        self.table.write_text("".join(f'"text {n}"\n' for n in range(40)), encoding="utf-8")
        self.remarks: list[str] = []
        self.read: list[str] = []

    def run(self, *, stop_after: int | None = None, again: bool = False, **plan: Any) -> IndexReport:
        """A run; with `stop_after` it breaks off once so many rows were read."""
        shards = find_sources([self.folder / "photos", self.table]).shards
        return self.run_over(shards, stop_after=stop_after, again=again, **plan)

    def run_over(
        self, shards: Sequence[Shard], *, stop_after: int | None = None, again: bool = False, **plan: Any
    ) -> IndexReport:
        options: dict[str, Any] = {"columns": Columns(), "tags": (), "metadata": {}, "concurrency": 2} | plan
        planned = IndexPlan(shards, **options)
        kept = planned.open_checkpoint(self.client, self.folder / "cache", again=again, remark=self.remarks.append)
        ledger = Ledger(shards, kept)
        self.read = []

        def work() -> Any:
            for one in ledger.work(planned.columns):
                if len(self.read) == stop_after:
                    raise KeyboardInterrupt
                self.read.append(one.row.name)
                yield one

        try:
            report = Indexer(self.client, ledger=ledger, concurrency=2).run(work())
        except BaseException:
            ledger.close(complete=False)
            raise
        ledger.close(complete=True)
        return report


@pytest.fixture
def source(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr("cluster.indexing.upload.LOOKUP_BATCH", 4)
    return Source(client, tmp_path / "source")


def counts(report: IndexReport) -> tuple[int, int, int]:
    return report.indexed, report.skipped, len(report.failed)


@pytest.mark.parametrize("stop_after", [3, 12, 33, 49])
def test_a_run_that_broke_off_goes_on_where_it_was(source: Source, stop_after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        source.run(stop_after=stop_after)
    report = source.run()
    assert counts(report)[2] == 0
    assert report.indexed + report.skipped == 50
    assert stop_after - 8 <= report.remembered <= stop_after, "a batch and what was in flight may come twice"
    assert len(source.read) == 50 - report.remembered


def test_a_third_run_reads_nothing_and_again_reads_all(source: Source) -> None:
    assert counts(source.run()) == (50, 0, 0)
    report = source.run()
    assert (counts(report), report.remembered, source.read) == ((0, 50, 0), 50, [])
    report = source.run(again=True)
    assert (counts(report), report.remembered, len(source.read)) == ((0, 50, 0), 0, 50)


def test_what_one_collection_has_says_nothing_of_another(source: Source) -> None:
    source.run()
    assert source.run(collection="holidays").remembered == 0
    assert source.run().remembered == 50


def test_a_changed_file_is_read_again_and_the_others_are_not(source: Source) -> None:
    source.run()
    (source.folder / "photos/3.png").write_bytes(picture("JPEG", (200, 3, 3)))
    source.table.write_text(source.table.read_text(encoding="utf-8") + '"one more"\n', encoding="utf-8")
    assert counts(source.run()) == (2, 49, 0)
    assert len(source.read) == 42


def test_other_options_are_another_run(source: Source) -> None:
    source.run()
    source.run(tags=("holiday",))
    assert len(source.read) == 50
    source.run(columns=Columns(others="metadata"))
    assert len(source.read) == 50


def test_a_file_read_as_another_kind_is_another_run(source: Source) -> None:
    note = source.folder / "notes.txt"
    note.write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert counts(source.run_over(find_sources([note]).shards)) == (1, 0, 0)
    assert counts(source.run_over(find_sources([], [note]).shards)) == (3, 0, 0)
    for shards, rows in ((find_sources([note]).shards, 1), (find_sources([], [note]).shards, 3)):
        report = source.run_over(shards)
        assert (counts(report), report.remembered) == ((0, rows, 0), rows), "each way is remembered beside the other"


def test_a_file_without_a_version_is_read_every_time(source: Source) -> None:
    (shard,) = find_sources([source.table]).shards
    unversioned = [replace(shard, stamp=stamp_of({"name": "texts.jsonl", "size": 390, "type": "file"}))]
    assert counts(source.run_over(unversioned)) == (40, 0, 0)
    report = source.run_over(unversioned)
    assert (counts(report), report.remembered) == ((0, 40, 0), 0)


def test_a_server_that_lost_the_items_gets_them_all(source: Source, serve: Serve, tmp_path: Path) -> None:
    source.run()
    with serve(FakeEncoder(), tmp_path / "empty") as url, Client(url) as other:
        other.url = source.client.url  # the checkpoint's name is made of it
        source.client = other
        assert counts(source.run()) == (50, 0, 0)
    assert "items of an earlier run are gone from the server: starting over" in " ".join(source.remarks)


def test_bad_rows_are_told_again_after_an_interruption_and_read_again_after_the_end(source: Source) -> None:
    (source.folder / "photos/0.png").write_bytes(b"no image")
    lines = source.table.read_text(encoding="utf-8").splitlines()
    source.table.write_text("\n".join([*lines[:5], "{", *lines[5:]]), encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        source.run(stop_after=30)
    resumed = source.run()
    assert counts(resumed) == (resumed.indexed, 49 - resumed.indexed, 2)
    assert {Path(failure.source).name for failure in resumed.failed} == {"0.png", "texts.jsonl:6"}
    again = source.run()
    assert counts(again) == (0, 49, 2)
    assert len(source.read) == 40, "the table with the bad line is read again, the good photos are not"


def test_a_checkpoint_that_is_damaged_or_cannot_be_kept_costs_time_only(source: Source) -> None:
    source.run()
    (file,) = (source.folder / "cache/indexing").glob("*.sqlite3")
    file.write_bytes(b"not a database, for sure" * 100)
    assert counts(source.run()) == (0, 50, 0)
    file.unlink()
    for path in (source.folder / "cache/indexing").iterdir():
        path.unlink()
    (source.folder / "cache/indexing").rmdir()
    (source.folder / "cache/indexing").write_bytes(b"in the way")
    assert counts(source.run()) == (0, 50, 0)
    assert "how far it comes is not remembered" in " ".join(source.remarks)


def test_the_mark_moves_only_over_rows_that_are_all_settled() -> None:
    numbers = list(range(200))
    random.Random(4).shuffle(numbers)
    progress = ShardProgress(Remembered())
    settled: set[int] = set()
    for number in numbers:
        failure = Failure("a", "bad") if number % 50 == 0 else None
        progress.settle(number, Mark(number + 1), last=number == 199, is_row=number != 199, failure=failure)
        settled.add(number)
        prefix = next(n for n in range(201) if n not in settled)
        assert progress.known.mark.offset == prefix
        assert progress.known.done == (prefix == 200)
    assert (progress.known.rows, len(progress.known.failures)) == (199, 4)


KILLED = """
import json, os, sys
from pathlib import Path
from cluster.indexing.checkpoint import Checkpoint
from cluster.indexing.ledger import Ledger, StepKey, Written
from cluster.indexing.rows import Mark
from cluster.indexing.sources import find_sources
from cluster.indexing import checkpoint
checkpoint.COMMIT_S = -1.0
shards = find_sources([sys.argv[1]]).shards
ledger = Ledger(shards, Checkpoint(Path(sys.argv[2])))
list(ledger.starts())
for n in range(7):
    ledger.settle(StepKey(0, n, Mark((n + 1) * 10, n + 1), False), Written("indexed", str(n)))
os.kill(os.getpid(), 9)
"""


def test_what_was_settled_a_while_before_a_kill_is_remembered(tmp_path: Path) -> None:
    table = tmp_path / "texts.jsonl"
    table.write_text('"a"\n' * 9, encoding="utf-8")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(table), str(tmp_path / "kept")], check=False)
    assert killed.returncode == -9
    (shard,) = find_sources([table]).shards
    assert Checkpoint(tmp_path / "kept").recall(shard) == Remembered(Mark(70, 7), 7)


def test_proofs_are_an_even_sample_of_bounded_size(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "kept")
    for number in range(2000):
        kept.prove(str(number))
    proofs = [int(id) for id in kept.proofs()]
    assert len(proofs) == module.PROOFS
    assert max(proofs) > 1000, "not the first ones alone"
    kept.close()
