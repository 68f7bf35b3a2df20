"""Tables and archives: each row becomes an item or a reason, and reading goes on from any mark."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import socket
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.indexing import lines, tar
from cluster.indexing.columns import Columns, Others
from cluster.indexing.rows import Row, Shard
from cluster.indexing.shards import read_shard
from cluster.indexing.sources import find_sources
from tests.unit.cluster.pictures import picture

Write = Callable[[Path, Sequence[Mapping[str, Any]]], Path]

USUAL = Columns()


def shard(path: Path) -> Shard:
    return find_sources([path]).shards[0]


def rows(path: Path, columns: Columns = USUAL) -> list[Row]:
    steps = list(read_shard(shard(path), columns))
    assert [step.last for step in steps] == [False] * (len(steps) - 1) + [True]
    return [step.row for step in steps if step.row is not None]


def reasons(path: Path, columns: Columns = USUAL) -> list[str | None]:
    return [row.fault for row in rows(path, columns)]


def write_jsonl(folder: Path, values: Sequence[Mapping[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(_plain(value)) + "\n" for value in values), encoding="utf-8")
    return path


def write_csv(folder: Path, values: Sequence[Mapping[str, Any]]) -> Path:
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(values[0]))
        writer.writeheader()
        for value in values:
            cells = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in _plain(value).items()}
            writer.writerow(cells)
    return path


def write_parquet(folder: Path, values: Sequence[Mapping[str, Any]]) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([dict(value) for value in values]), path, row_group_size=3)
    return path


def write_tar(folder: Path, members: Sequence[tuple[str, bytes]], name: str = "shard.tar") -> Path:
    path = folder / name
    with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
        for member, data in members:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_samples(folder: Path, values: Sequence[Mapping[str, Any]]) -> Path:
    members = []
    for number, value in enumerate(values):
        fields = {k: v for k, v in value.items() if k not in ("image", "text")}
        members += [(f"{number:04}.jpg", value["image"])] if "image" in value else []
        members += [(f"{number:04}.txt", value["text"].encode())] if "text" in value else []
        members += [(f"{number:04}.json", json.dumps(fields).encode())] if fields else []
    return write_tar(folder, members)


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in value.items()}


FORMATS = pytest.mark.parametrize("write", [write_jsonl, write_csv, write_parquet, write_samples])


@FORMATS
def test_the_same_items_come_out_of_every_format(tmp_path: Path, write: Write) -> None:
    full = {
        "id": "a-7",
        "image": picture("JPEG"),
        "text": "ein Boot, 船",
        "source": "camera",
        "tags": ["x", "海"],
        "metadata": {"year": 2020, "good": True},
    }
    (row,) = rows(write(tmp_path, [full]))
    assert (row.image, row.text, row.id, row.source) == (full["image"], full["text"], "a-7", "camera")
    assert (row.tags, dict(row.metadata), row.fault) == (("x", "海"), {"year": 2020, "good": True}, None)


@FORMATS
def test_other_columns_are_an_error_or_metadata_or_nothing(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, [{"text": "a boat", "year": 2020, "place": "Oslo"}])
    fault = " ".join(filter(None, reasons(path)))
    assert "unknown fields 'place', 'year'" in fault
    assert "--other-columns" in fault
    assert [dict(row.metadata) for row in rows(path, Columns(others="metadata"))] == [{"year": 2020, "place": "Oslo"}]
    (row,) = rows(path, Columns(others="ignore"))
    assert (row.text, dict(row.metadata)) == ("a boat", {})


@FORMATS
@pytest.mark.parametrize("others", ["refuse", "ignore"])
def test_columns_may_be_named(tmp_path: Path, write: Write, others: Others) -> None:
    if write is write_samples:
        path = write_tar(tmp_path, [("1.left.png", picture()), ("1.json", b'{"title": "a boat"}')])
    else:
        path = write(tmp_path, [{"left.png": picture(), "title": "a boat"}])
    (row,) = rows(path, Columns(image="left.png", text="title", others=others))
    assert (row.image, row.text, row.fault) == (picture(), "a boat", None)


@FORMATS
def test_a_column_may_be_left_out(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, [{"image": picture(), "text": "a boat"}])
    (row,) = rows(path, Columns(text="", others="ignore"))
    assert (row.image, row.text) == (picture(), None)
    (row,) = rows(path, Columns(image="", others="ignore"))
    assert (row.image, row.text) == (None, "a boat")


@FORMATS
def test_reading_goes_on_from_any_mark(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path, [{"text": f"line {n}\nof two" if n % 3 else f"text {n}"} for n in range(11)])
    steps = list(read_shard(shard(path), Columns()))
    names = [step.row.name for step in steps if step.row is not None]
    assert len(names) == 11
    for done in range(len(steps)):
        rest = list(read_shard(shard(path), Columns(), steps[done].after))
        assert [step.row.name for step in rest if step.row is not None] == names[done + 1 :], done


@pytest.mark.parametrize("kind", ["bytes", "data", "base64", "path", "absolute", "huggingface", "huggingface path"])
def test_an_image_is_bytes_base64_a_data_uri_or_a_path_beside_the_file(tmp_path: Path, kind: str) -> None:
    image = picture("JPEG")
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics/a.jpg").write_bytes(image)
    encoded = base64.b64encode(image).decode()
    cells: dict[str, Any] = {
        "bytes": image,
        "data": f"data:image/jpeg;base64,{encoded}",
        "base64": encoded,
        "path": "pics/a.jpg",
        "absolute": str(tmp_path / "pics/a.jpg"),
        "huggingface": {"bytes": image, "path": "gone.jpg"},
        "huggingface path": {"bytes": None, "path": "pics/a.jpg"},
    }
    (row,) = rows(write_parquet(tmp_path, [{"image": cells[kind]}]))
    assert (row.image, row.fault) == (image, None)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("gone.jpg", "its image gone.jpg cannot be read: No such file"),
        ("https://example.com/a.jpg", "nothing is fetched from the web"),
        ("data:image/png,abc", "not base64"),
        ("data:image/png;base64,!!", "not valid base64"),
        ("x" * 2000, "neither base64 of an image nor a path"),
        ("a\0b", "its image"),
        (17, "its image is int"),
        ({"url": "a"}, "object without bytes and path"),
        (["a"], "its image is list"),
        ({"bytes": {"bytes": "a"}}, "object without bytes and path"),
    ],
)
def test_an_image_that_is_none_is_one_bad_row(tmp_path: Path, cell: object, reason: str) -> None:
    path = write_jsonl(tmp_path, [{"text": "before"}, {"image": cell}, {"text": "after"}])
    before, bad, after = rows(path)
    assert reason in (bad.fault or "")
    assert bad.name == f"{path}:2"
    assert (before.fault, after.fault) == (None, None)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine, to be told who came."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.setblocking(False)
        yield one


@pytest.mark.parametrize(
    "url",
    [
        "http://{}/a.png",
        "HTTPS://{}/a.png",
        "ftp://{}/a.png",
        "webhdfs://{}/a.png",
        "simplecache://::http://{}/a.png",
        "simplecache::http://{}/a.png",
        "filecache://x::http://{}/a.png",
        "zip://a.png::http://{}/a.zip",
        "memory://a.png::http://{}/a.png",
    ],
)
def test_a_row_sends_nobody_to_another_machine(tmp_path: Path, listener: socket.socket, url: str) -> None:
    host, port = listener.getsockname()
    line = json.dumps({"image": url.format(f"{host}:{port}")}).encode()
    (tmp_path / "rows.jsonl").write_bytes(line)
    fsspec.filesystem("memory").pipe("/rows.jsonl", line)
    for place in (str(tmp_path / "rows.jsonl"), "memory://rows.jsonl"):
        (found,) = find_sources([place]).shards
        (fault,) = [step.row.fault for step in read_shard(found, USUAL) if step.row is not None]
        assert fault is not None
        assert fault.startswith("its image ")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_row_of_a_bucket_names_no_file_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    for url in (f"file://{tmp_path}/a.png", f"LOCAL://{tmp_path}/a.png"):
        fsspec.filesystem("memory").pipe("/rows.jsonl", json.dumps({"image": url}).encode())
        (found,) = find_sources(["memory://rows.jsonl"]).shards
        (fault,) = [step.row.fault for step in read_shard(found, USUAL) if step.row is not None]
        assert "is a file of this machine" in (fault or "")


@pytest.mark.parametrize(
    "named", ["a.png", "{}/a.png", "file://{}/a.png", "memory://a.png", "http://127.0.0.1:9/a.png"]
)
def test_the_json_of_a_sample_leads_out_of_no_archive(tmp_path: Path, named: str) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    path = named.format(tmp_path)
    samples = [{"image": path}, {"image_path": path}, {"image": {"path": path}}, {"file_name": path, "text": "a"}]
    members = [(f"{n}.json", json.dumps(sample).encode()) for n, sample in enumerate(samples)]
    *bad, good = rows(write_tar(tmp_path, [*members, ("9.png", picture())]))
    assert [(row.image, "in an archive an image is a member" in (row.fault or "")) for row in bad] == [(None, True)] * 4
    assert (good.image, good.fault) == (picture(), None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "is not JSON"),
        (b"3", "neither an object nor a text"),
        (b"{}", "has no content"),
        (b'{"text": " "}', "not a text, or an empty one"),
        (b'{"text": 3}', "not a text, or an empty one"),
        (b'{"text": "a", "tagz": []}', "unknown field 'tagz'"),
        (b'{"text": "a", "tags": {"b": 1}}', "tags is a list"),
        (b'{"text": "a", "metadata": [1]}', "metadata is an object"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"text": "' + b"a" * 3000 + b'"}', "is a line of 3013 bytes"),
    ],
)
def test_a_bad_line_in_the_middle_is_one_bad_row(
    tmp_path: Path, line: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 2000 if len(line) == 3012 else lines.MAX_LINE_BYTES)
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'\xef\xbb\xbf"good"\n\n' + line + b'\n{"text": "good too"}')
    first, bad, last = rows(path)
    assert (first.text, last.text) == ("good", "good too")
    assert reason in (bad.fault or "")
    assert (bad.name, last.name) == (f"{path}:3", f"{path}:4")


def test_a_text_list_is_a_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("one\n\n 二 \n".encode() + b"\xff\n")
    (found,) = find_sources([], [path]).shards
    steps = [step.row for step in read_shard(found, Columns()) if step.row is not None]
    assert [(row.text, row.fault) for row in steps] == [("one", None), ("二", None), (None, "is not UTF-8 text")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["is empty"]),
        (b"text\n", []),
        (b"text,text\na,b\n", ["has two columns 'text'"]),
        (b"name,size\na,3\n", ["has neither an image nor a text among its columns 'name', 'size'"]),
        (b"text\na\n\xff\nb\n", [None, "is not UTF-8", None]),
        (b"text,id\na,1\nb\nc,3\n", [None, "has 1 cells, and the header has 2", None]),
        (b'text\na\n"b"c\nd\n', [None, "is not CSV", None]),
        (b'text\na\n"never closed\nb\n', [None, "is not CSV: unexpected end of data"]),
        (b"text\n\n\na\n", [None]),
    ],
)
def test_a_bad_csv_says_what_and_where(tmp_path: Path, content: bytes, expected: list[str | None]) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    found = reasons(path)
    assert len(found) == len(expected)
    for fault, start in zip(found, expected, strict=True):
        assert (fault is None) == (start is None)
        assert (fault or "").startswith(start or "")


def test_a_csv_row_is_called_by_the_line_that_it_begins_on(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,year\n"two\nlines",1\nb,"x\n', encoding="utf-8")
    first, bad = rows(path, Columns(others="metadata"))
    assert (first.name, dict(first.metadata), bad.name) == (f"{path}:2", {"year": 1}, f"{path}:4")


def test_a_named_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [{"text": "a"}])
    assert reasons(path, Columns(image="photo")) == ["has no column 'photo'; it has 'text'"]


def test_parquet_that_is_none_or_cut_off_is_one_fault(tmp_path: Path) -> None:
    path = write_parquet(tmp_path, [{"text": f"text {n}"} for n in range(9)])
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"not parquet at all", whole[:-20]):
        path.write_bytes(content)
        (fault,) = reasons(path)
        assert "is not Parquet, or is cut off" in (fault or "")


def test_a_damaged_row_group_costs_its_rows_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"text": [f"text {n} " + "x" * 40 for n in range(9)]}),
        path,
        row_group_size=3,
        compression="gzip",
        use_dictionary=False,
    )
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    begin, size = column.data_page_offset, column.total_compressed_size
    content[begin : begin + size] = b"\xff" * size
    path.write_bytes(bytes(content))
    found = rows(path)
    assert [row.name.rpartition(":")[2] for row in found if row.fault is None] == ["1", "2", "3", "7", "8", "9"]
    (bad,) = (row for row in found if row.fault is not None)
    assert "nor what follows in its row group" in (bad.fault or "")


def test_a_plain_archive_of_photos_is_an_item_a_photo(tmp_path: Path) -> None:
    members = [("photos/a.png", picture()), ("photos/._a.png", b"resource fork"), ("photos/b.png", picture("JPEG"))]
    for name in ("plain.tar", "plain.tar.gz"):
        found = rows(write_tar(tmp_path, members, name))
        assert [(row.name.rpartition(name)[2], row.fault) for row in found] == [
            ("/photos/a", None),
            ("/photos/b", None),
        ]


def test_several_images_of_one_key_are_items_of_their_own(tmp_path: Path) -> None:
    path = write_tar(
        tmp_path,
        [("1.left.png", picture()), ("1.right.png", picture("JPEG")), ("1.txt", b"a pair"), ("2.png", picture())],
    )
    left, right, other = rows(path)
    assert [row.name for row in (left, right, other)] == [f"{path}/1.left.png", f"{path}/1.right.png", f"{path}/2"]
    assert (left.text, right.text, other.text) == ("a pair", "a pair", None)
    steps = list(read_shard(shard(path), Columns()))
    assert len(list(read_shard(shard(path), Columns(), steps[0].after))) == len(steps), "a sample is read as one"


def test_a_truncated_archive_gives_what_is_whole_and_one_fault(tmp_path: Path) -> None:
    path = write_tar(tmp_path, [(f"{n}.png", picture(colour=(n, 0, 0))) for n in range(4)])
    whole = path.read_bytes()
    member = 1024  # a header, and an image of less than a block
    for cut in (2 * member + 10, 2 * member + 520, 3 * member):
        path.write_bytes(whole[:cut])
        found = rows(path)
        assert [row.fault for row in found[:-1]] == [None] * (len(found) - 1)
        assert "is cut off" in (found[-1].fault or ""), cut
        assert len(found) == (3 if cut == 3 * member else 2 + (cut > 2 * member + 512)), cut
    for content in (b"", b"not a tar", whole[:100]):
        path.write_bytes(content)
        assert len(found := reasons(path)) == 1
        assert "is no tar archive" in (found[0] or "")


def test_a_damaged_header_is_no_silent_end(tmp_path: Path) -> None:
    path = write_tar(tmp_path, [(f"{n}.png", picture(colour=(n, 0, 0))) for n in range(4)])
    content = bytearray(path.read_bytes())
    content[2048:2148] = b"?" * 100
    path.write_bytes(bytes(content))
    found = rows(path)
    assert "is cut off" in (found[-1].fault or "")


@pytest.mark.parametrize(
    ("member", "data", "reason"),
    [
        ("1.png", b"no image", "its .png is no image of a kind that is taken"),
        ("1.mp3", b"sound", "its .mp3 is no image of a kind that is taken"),
        ("1.json", b"{", "its .json is not JSON"),
        ("1.json", b"[1]", "its .json is not a JSON object"),
        ("1.txt", b"\xff", "its .txt is not UTF-8"),
    ],
)
def test_a_bad_member_is_one_bad_sample(tmp_path: Path, member: str, data: bytes, reason: str) -> None:
    found = rows(write_tar(tmp_path, [("0.png", picture()), (member, data), ("2.png", picture())]))
    assert [row.fault is None for row in found] == [True, False, True]
    assert reason in (found[1].fault or "")


def test_a_sample_has_a_limit_of_all_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MAX_SAMPLE_BYTES", 4000)
    image = picture()
    many = [(f"1.{n}.png", image) for n in range(9)]
    before, bad, after = rows(write_tar(tmp_path, [("0.png", image), *many, ("2.png", image)]))
    assert (before.fault, after.image, after.fault) == (None, image, None)
    assert bad.fault == "its members have over 4000 bytes together, which is the limit"


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (header(tarfile.GNUTYPE_LONGNAME, 1 << 30), "a header of its is too large"),
        (header(tarfile.XHDTYPE, 1 << 30), "a header of its is too large"),
        (header(tarfile.XGLTYPE, 1 << 30), "a header of its is too large"),
        (header(tarfile.REGTYPE, -1024, "2.png"), "negative size"),
        (header(tarfile.GNUTYPE_LONGNAME, -1024), "negative size"),
        (header(tarfile.GNUTYPE_SPARSE, 512, "2.png"), "sparse"),
    ],
)
def test_a_hostile_header_ends_an_archive_with_a_reason(tmp_path: Path, hostile: bytes, reason: str) -> None:
    path = write_tar(tmp_path, [("0.png", picture()), ("1.png", picture())])
    start = path.read_bytes()[:2048]
    with path.open("wb") as file:
        file.write(start + hostile)
        file.truncate(2 << 30)
    tracemalloc.start()
    good, bad = rows(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (good.image, good.fault) == (picture(), None)
    assert reason in (bad.fault or "")
    assert peak < 16 << 20


def test_a_compression_that_breaks_off_is_one_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    content = gzip.compress("".join(f'"text {n} {n * n}"\n' for n in range(5000)).encode())
    path.write_bytes(content[: len(content) // 2])
    found = rows(path)
    assert 0 < len(found) - 1 < 5000
    assert (found[0].fault, found[-2].fault) == (None, None)
    assert "cannot be read from here on" in (found[-1].fault or "")
