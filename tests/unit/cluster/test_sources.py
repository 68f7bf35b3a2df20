"""Walking folders and buckets: what is taken, what is passed over, what is reported."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from cluster.errors import ClusterError
from cluster.indexing.columns import Columns
from cluster.indexing.places import MAX_FILE_BYTES
from cluster.indexing.rows import Row, Shard
from cluster.indexing.shards import read_shard
from cluster.indexing.sources import find_sources
from tests.unit.cluster.pictures import picture


def names(folder: Path, *paths: Path) -> list[str]:
    return [Path(shard.name).relative_to(folder).as_posix() for shard in find_sources(paths or [folder]).shards]


def row_of(shard: Shard) -> Row:
    (step,) = read_shard(shard, Columns())
    assert step.row is not None
    assert step.last
    return step.row


def test_images_are_told_by_content_and_texts_by_name(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(picture("JPEG"))
    (tmp_path / "b.bin").write_bytes(b"\x00\x01\x02")
    (tmp_path / "a.txt").write_text("a note", encoding="utf-8")
    (tmp_path / "c.webp").write_bytes(picture("WEBP"))
    assert names(tmp_path) == ["a.txt", "c.webp", "photo"]
    text, webp, photo = map(row_of, find_sources([tmp_path]).shards)
    assert (text.text, text.image) == ("a note", None)
    assert (webp.text, webp.image) == (None, picture("WEBP"))
    assert photo == Row((tmp_path / "photo").as_posix(), image=picture("JPEG"))


def test_hidden_files_and_folders_are_passed_over_unless_given(tmp_path: Path) -> None:
    hidden = tmp_path / ".hidden"
    hidden.mkdir()
    (hidden / "a.png").write_bytes(picture())
    (tmp_path / ".b.png").write_bytes(picture())
    assert names(tmp_path) == []
    assert names(tmp_path, tmp_path / ".b.png") == [".b.png"]


def test_a_loop_of_links_ends_and_a_linked_folder_is_walked_once(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.png").write_bytes(picture())
    (inner / "back").symlink_to(tmp_path)
    (tmp_path / "twice").symlink_to(inner)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == ["inner/a.png"]
    assert names(tmp_path, tmp_path, inner) == ["inner/a.png"]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == []


def test_tables_beside_photos_are_passed_over_and_told_of(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "bills.csv").write_text("what,paid\nrent,700\n", encoding="utf-8")
    found = find_sources([tmp_path])
    assert [Path(shard.name).name for shard in found.shards] == ["a.png"]
    assert found.passed_over == [(tmp_path / "bills.csv").as_posix()]


def test_a_folder_of_shards_is_read_and_a_named_file_is_always_taken(tmp_path: Path) -> None:
    for name in ("0.tar", "1.tar.gz", "2.parquet", "3.jsonl.gz", "4.csv", "5.tsv", "6.ndjson"):
        (tmp_path / name).write_bytes(b"")
    kinds = [shard.kind for shard in find_sources([tmp_path]).shards]
    assert kinds == ["tar", "tar", "parquet", "jsonl", "csv", "tsv", "jsonl"]
    (tmp_path / "a.png").write_bytes(picture())
    assert [shard.kind for shard in find_sources([tmp_path / "0.tar", tmp_path / "a.png"]).shards] == ["tar", "file"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.jpg", b"", "is empty"),
        ("b.jpg", b"not an image at all", "by its content"),
        ("c.txt", b"", "is empty"),
        ("d.txt", b" \n\t ", "is empty"),
        ("e.txt", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_bad_file_is_found_and_says_why_it_cannot_be_read(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(data)
    (shard,) = find_sources([tmp_path]).shards
    assert reason in (row_of(shard).fault or "")


def test_a_file_that_went_away_is_one_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (shard,) = find_sources([tmp_path]).shards
    (tmp_path / "a.png").unlink()
    assert row_of(shard).fault == "cannot be read: No such file or directory"


def test_a_giant_is_not_read_into_memory(tmp_path: Path) -> None:
    giant = tmp_path / "giant.jpg"
    with giant.open("wb") as file:
        file.truncate(1 << 40)
    (shard,) = find_sources([tmp_path]).shards
    assert row_of(shard).fault == f"has 1099511627776 bytes, and at most {MAX_FILE_BYTES} are read"


@pytest.mark.parametrize("place", ["/nowhere-at-all", "memory://nowhere-at-all/a.png"])
def test_a_missing_path_is_an_error(place: str) -> None:
    with pytest.raises(ClusterError, match="there is no"):
        find_sources([place])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.com/a.jpg", "nothing is fetched from the web"),
        ("HTTP://127.0.0.1/a.jpg", "nothing is fetched from the web"),
        ("nosuch://a/b", "nosuch:// is not read"),
        ("webhdfs://127.0.0.1:9/a.jpg", "webhdfs:// is not read"),
        ("github://org:repo@main/a.jpg", "give a path or one of file://, .*s3://"),
        ("memory://a.zip::http://127.0.0.1:9/a.jpg", "'::' is not taken in a URL"),
    ],
)
def test_urls_that_are_not_taken_say_why(url: str, reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        find_sources([url])


@pytest.fixture
def bucket() -> Iterator[str]:
    """A folder in memory, as a bucket is to fsspec."""
    fs = fsspec.filesystem("memory")
    root = f"/{uuid.uuid4().hex}"
    yield f"memory://{root}"
    fs.rm(root, recursive=True)


def put(url: str, data: bytes) -> None:
    with fsspec.open(url, "wb") as file:
        file.write(data)


def test_a_bucket_is_walked_by_names_and_globbed(bucket: str) -> None:
    for name in ("a.png", "deep/b.jpg", "deep/.hidden.png", ".git/c.png", "notes.md", "t.txt"):
        put(f"{bucket}/{name}", picture() if name.endswith("g") else b"a note")
    found = find_sources([bucket])
    assert [shard.name.removeprefix(bucket) for shard in found.shards] == ["/a.png", "/deep/b.jpg", "/t.txt"]
    photo, _, text = map(row_of, found.shards)
    assert (photo.image, text.text) == (picture(), "a note")
    assert [shard.name for shard in find_sources([f"{bucket}/*.png"]).shards] == [f"{bucket}/a.png"]


def test_the_stamp_changes_with_the_file(bucket: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for place, write in ((f"{bucket}/a.txt", lambda data: put(f"{bucket}/a.txt", data)), (path, path.write_bytes)):
        write(b"one")
        before = find_sources([place]).shards[0].stamp
        assert find_sources([place]).shards[0].stamp == before
        write(b"other")
        assert find_sources([place]).shards[0].stamp != before


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    assert [shard.place for shard in find_sources([f"file://{tmp_path}"]).shards] == [str(tmp_path / "a.png")]


def test_names_stay_as_written_and_places_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(picture())
    monkeypatch.chdir(tmp_path)
    (shard,) = find_sources(["photos"]).shards
    assert (shard.name, shard.place) == ("photos/a.png", str(tmp_path / "photos/a.png"))
