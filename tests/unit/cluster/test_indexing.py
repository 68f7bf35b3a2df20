"""Indexing into a real server: what is there is skipped, what is bad is listed, what was cut off goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cluster.client import Client
from cluster.errors import ServerUnreachable
from cluster.indexing import upload
from cluster.indexing.sources import Content, Source, find_sources
from cluster.indexing.upload import Indexer, IndexReport
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


def counts(report: IndexReport) -> tuple[int, int, int]:
    return report.indexed, report.skipped, len(report.failed)


def test_everything_is_found_again_under_its_name_tags_and_metadata(client: Client, folder: Path) -> None:
    sources = find_sources([folder])
    report = Indexer(client, tags=["holiday", "海"], metadata={"year": 2024, "place": "Oslo"}).run(sources)
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
    Indexer(client).run(find_sources([folder]))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("uploaded again")

    monkeypatch.setattr(client, "store", refuse)
    assert counts(Indexer(client).run(find_sources([folder]))) == (0, 6, 0)


def test_equal_files_are_one_item(client: Client, folder: Path) -> None:
    (folder / "copy.png").write_bytes((folder / "red.png").read_bytes())
    assert counts(Indexer(client).run(find_sources([folder]))) == (6, 1, 0)


def test_bad_files_are_listed_with_their_reason_and_stop_nothing(client: Client, folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "red.png").read_bytes()[:40])
    (folder / "empty.jpg").touch()
    (folder / "page.jpg").write_text("<html>", encoding="utf-8")
    report = Indexer(client).run(find_sources([folder]))
    assert counts(report) == (6, 0, 3)
    reasons = {Path(failure.source).name: failure.reason for failure in report.failed}
    assert set(reasons) == {"cut.png", "empty.jpg", "page.jpg"}
    assert "decoded" in reasons["cut.png"] or "damaged" in reasons["cut.png"]


def test_a_run_that_broke_off_goes_on_where_it_was(
    client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "LOOKUP_BATCH", 2)
    sources = find_sources([folder])
    interrupted = Indexer(client, concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        interrupted.run(_with_interrupt(sources))
    done = interrupted.report.indexed
    assert 0 < done < 6
    report = Indexer(client).run(sources)
    assert report.indexed + report.skipped == 6
    assert report.skipped >= done


class _InterruptedSource(Source):
    """Ctrl-C arrives while this one is read."""

    def read(self) -> Content:
        raise KeyboardInterrupt


def _with_interrupt(sources: list[Source]) -> list[Source]:
    return [*sources[:4], _InterruptedSource("interrupted"), *sources[4:]]


def test_a_server_that_is_gone_ends_the_run(folder: Path) -> None:
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ServerUnreachable):
        Indexer(nobody).run(find_sources([folder]))


def test_many_texts_keep_their_own_metadata(client: Client) -> None:
    sources = [Source(f"n{n}", text=f"text number {n}", tags=("t",), metadata={"n": n}) for n in range(300)]
    seen: list[int] = []
    assert counts(Indexer(client, tags=["t"], metadata={"n": -1, "all": True}, advance=seen.append).run(sources)) == (
        300,
        0,
        0,
    )
    assert sum(seen) == 300
    (hit,) = client.search({"text": "number 123", "filter": {"field": "n", "op": "eq", "value": 123}}).hits
    assert (hit.source, hit.tags, hit.metadata) == ("n123", ["t"], {"n": 123, "all": True})
