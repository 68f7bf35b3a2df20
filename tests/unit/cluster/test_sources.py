"""Walking folders: what is taken, what is passed over, what is reported."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from cluster.errors import ClusterError
from cluster.indexing.sources import Content, UnreadableSource, find_sources, read_text_list


def picture(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(out, kind)
    return out.getvalue()


def names(folder: Path, *paths: Path) -> list[str]:
    return [Path(source.name).relative_to(folder).as_posix() for source in find_sources(paths or [folder])]


def test_images_are_told_by_content_and_texts_by_name(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(picture("JPEG"))
    (tmp_path / "b.bin").write_bytes(b"\x00\x01\x02")
    (tmp_path / "a.txt").write_text("a note", encoding="utf-8")
    (tmp_path / "c.webp").write_bytes(picture("WEBP"))
    assert names(tmp_path) == ["a.txt", "c.webp", "photo"]
    text, webp, photo = find_sources([tmp_path])
    assert text.read() == Content(text="a note")
    assert webp.read() == Content(image=picture("WEBP"))
    assert photo.read() == Content(image=picture("JPEG"))


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
    (source,) = find_sources([tmp_path])
    with pytest.raises(UnreadableSource, match=reason):
        source.read()


def test_a_file_that_went_away_is_one_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    (source,) = find_sources([tmp_path])
    (tmp_path / "a.png").unlink()
    with pytest.raises(UnreadableSource, match="cannot be read"):
        source.read()


def test_a_giant_is_not_read_into_memory(tmp_path: Path) -> None:
    giant = tmp_path / "giant.jpg"
    with giant.open("wb") as file:
        file.truncate(1 << 40)
    (source,) = find_sources([tmp_path])
    with pytest.raises(UnreadableSource, match="1099511627776 bytes"):
        source.read()


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no file or folder"):
        find_sources([tmp_path / "nowhere"])


def test_text_lists(tmp_path: Path) -> None:
    plain = tmp_path / "list.txt"
    plain.write_text("one\n\n 二 \n", encoding="utf-8")
    assert [source.text for source in read_text_list(plain)] == ["one", "二"]
    lines = tmp_path / "list.jsonl"
    lines.write_text(
        '"one"\n{"text": "two", "source": "s", "tags": ["t"], "metadata": {"year": 2}}\n', encoding="utf-8"
    )
    one, two = read_text_list(lines)
    assert (one.name, one.read()) == ("list.jsonl:1", Content(text="one"))
    assert (two.name, two.read(), two.tags, dict(two.metadata)) == ("s", Content(text="two"), ("t",), {"year": 2})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("3", "object with a"),
        ('{"text": " "}', "object with a"),
        ('{"text": "a", "tagz": []}', "unknown field 'tagz'"),
        ('{"text": "a", "tags": "b"}', "tags is a list"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text(f'"good"\n{line}\n', encoding="utf-8")
    with pytest.raises(ClusterError, match=rf"list\.jsonl:2.*{reason}"):
        read_text_list(file)
