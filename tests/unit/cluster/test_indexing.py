"""Indexing into a real server: what is there is skipped, what is bad is listed, what was cut off goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cluster.client import Client
from cluster.errors import ServerUnreachable
from cluster.indexing.columns import Columns
from cluster.indexing.ledger import Ledger, Work
from cluster.indexing.report import IndexReport
from cluster.indexing.rows import Row
from cluster.indexing.sources import find_sources
from cluster.indexing.upload import Indexer
from deployments.content import content_id

COLOURS = ("red", "green", "blue", "yellow", "white")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in COLOURS:
        Image.new("RGB", (16, 16), colour).save(photos / f"{colour}.png")
    (photos / "note.txt").write_text("a red boat\n", encoding="utf-8")
    return photos


def run(client: Client, folder: Path, **options: Any) -> IndexReport:
    ledger = Ledger(find_sources([folder]).shards)
    return Indexer(client, ledger=ledger, **options).run(ledger.work(Columns()))


def store(client: Client, rows: Sequence[Row], **options: Any) -> IndexReport:
    return Indexer(client, **options).run(map(Work, rows))


def counts(report: IndexReport) -> tuple[int, int, int]:
    return report.indexed, report.skipped, len(report.failed)


def test_everything_is_found_again_under_its_name_tags_and_metadata(client: Client, folder: Path) -> None:
    report = run(client, folder, tags=["holiday", "海"], metadata={"year": 2024, "place": "Oslo"})
    assert counts(report) == (6, 0, 0)
    (hit,) = client.search({"text": "red", "target": "image", "top_k": 1}).hits
    assert hit.source == (folder / "red.png").as_posix()
    assert hit.tags == ["holiday", "海"]
    assert hit.metadata == {"year": 2024, "place": "Oslo"}
    assert hit.id == content_id((folder / "red.png").read_bytes(), None)
    assert client.image(hit.id).content == (folder / "red.png").read_bytes()
    (text,) = client.search({"text": "boat", "target": "text", "top_k": 1}).hits
    assert (text.text, text.metadata["year"]) == ("a red boat", 2024)


def test_a_second_run_uploads_nothing(client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(client, folder)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("uploaded again")

    monkeypatch.setattr(client, "store", refuse)
    assert counts(run(client, folder)) == (0, 6, 0)


def test_equal_files_are_one_item(client: Client, folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "red.png").read_bytes())
    assert counts(run(client, folder)) == (6, 1, 0)


def test_bad_files_are_listed_with_their_reason_and_stop_nothing(client: Client, folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:40])
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<html>", encoding="utf-8")
    report = run(client, folder)
    assert counts(report) == (6, 0, 3)
    reasons = {Path(failure.source).name: failure.reason for failure in report.failed}
    assert set(reasons) == {"cut.png", "empty.jpg", "page.jpg"}
    assert "decoded" in reasons["cut.png"] or "damaged" in reasons["cut.png"]


def test_rows_with_an_id_are_replaced_and_those_without_keep_what_they_have(client: Client) -> None:
    store(client, [Row("a", id="one", text="a cat"), Row("b", text="a dog", tags=("old",))])
    report = store(client, [Row("a", id="one", text="a cow"), Row("b", text="a dog", tags=("new",))])
    assert counts(report) == (0, 2, 0)
    (cow,) = client.search({"text": "a cow", "top_k": 1}).hits
    (dog,) = client.search({"text": "a dog", "top_k": 1}).hits
    assert (cow.id, cow.text, dog.tags) == ("one", "a cow", ["old"])


def test_a_server_that_is_gone_ends_the_run(folder: Path) -> None:
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServerUnreachable):
        run(nobody, folder)


def test_many_texts_keep_their_own_metadata(client: Client) -> None:
    rows = [Row(f"n{n}", text=f"text number {n}", tags=("t",), metadata={"n": n}) for n in range(300)]
    seen: list[int] = []
    report = store(client, rows, tags=["t"], metadata={"n": -1, "all": True}, advance=seen.append)
    assert counts(report) == (300, 0, 0)
    assert sum(seen) == 300
    (hit,) = client.search({"text": "number 123", "filter": {"field": "n", "op": "eq", "value": 123}}).hits
    assert (hit.source, hit.tags, hit.metadata) == ("n123", ["t"], {"n": 123, "all": True})
