"""Archives that are made to hurt, and folders of the server that lead elsewhere."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deployments.errors import BadRequest, CrossrayError, Forbidden, TooLarge, Unavailable
from deployments.jobs.archives import MIN_RATIO_BYTES, ArchiveLimits, members
from deployments.jobs.folders import ServerFolders
from encoders.errors import InputError
from tests.unit.deployments.job_stack import JobStack, picture, zipped

LIMITS = ArchiveLimits(members=50, member_bytes=1 << 20, total_bytes=64 << 20, ratio=10)


def tarred(files: dict[str, bytes], mode: str = "w:gz", **links: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return out.getvalue()


def read(packed: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, bytes | str | None]:
    """What each member holds, or the code of why it is refused."""
    return {m.name: m.data if m.data is not None else m.code for m in members(io.BytesIO(packed), limits)}


FILES = {"a/b.png": b"1", "c.txt": b"2", ".hidden": b"3", "__MACOSX/a": b"4", "a/.DS_Store": b"5"}


@pytest.mark.parametrize(
    "packed",
    [zipped(FILES), tarred(FILES, "w"), tarred(FILES), tarred(FILES, "w:bz2")],
    ids=["zip", "tar", "gz", "bz2"],
)
def test_every_kind_is_read(packed: bytes) -> None:
    assert read(packed) == {"a/b.png": b"1", "c.txt": b"2"}


UNSAFE = {"../up.png": b"1", "/etc/abs.png": b"2", "a/../../b.png": b"3", "C:\\x.png": b"4", "..\\w.png": b"5"}


def test_names_that_lead_out_and_links_are_refused() -> None:
    assert set(read(zipped(UNSAFE)).values()) == {"unsafe_name"}
    assert set(read(tarred(UNSAFE)).values()) == {"unsafe_name"}
    assert read(tarred({}, link="/etc/passwd", other="../x")) == {"link": "not_a_file", "other": "not_a_file"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert read(out.getvalue()) == {"link.png": "not_a_file"}


def test_a_large_member_is_refused_alone() -> None:
    files = {"large": os.urandom((1 << 20) + 1), "small": b"1"}
    for packed in (zipped(files), tarred(files)):
        assert read(packed) == {"large": "too_large", "small": b"1"}


def test_a_size_that_is_a_lie() -> None:
    """The header says 1 byte; what comes out is counted."""
    packed = bytearray(zipped({"a": b"\0" * (2 << 20)}))
    at = packed.rfind(b"PK\x01\x02")
    struct.pack_into("<I", packed, at + 24, 1)
    assert read(bytes(packed)) in ({"a": b"\0"}, {"a": "archive_damaged"}, {"a": "too_large"})


def test_bombs() -> None:
    zeros = {f"{n}": b"\0" * (1 << 20) for n in range(MIN_RATIO_BYTES // (1 << 20) + 2)}
    for packed in (zipped(zeros), tarred(zeros), tarred(zeros, "w:bz2")):
        with pytest.raises(TooLarge, match="unpacks to over"):
            read(packed)
    # One header of tar that says that its own content is large, which tarfile would read at once.
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("x" * 200_000))
    with pytest.raises(BadRequest, match="too large"):
        read(out.getvalue())


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Under 8 MiB at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_whose_output_has_no_bound(method: int) -> None:
    """189 bytes of bzip2 held 137 MB in memory, for one byte of it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("bomb.png", b"\0" * (32 << 20), method)
        archive.writestr("fine.png", b"1", zipfile.ZIP_DEFLATED)
    packed = bytearray(out.getvalue())
    struct.pack_into("<I", packed, packed.find(b"PK\x01\x02") + 24, 1)
    with little_memory():
        assert read(bytes(packed)) == {"bomb.png": "archive_unsupported", "fine.png": b"1"}


def gnu_sparse(extended_blocks: int) -> bytes:
    """A tar with a member of GNU's sparse type: no content, 1 MiB of holes, its map in so many further blocks."""
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[482] = extended_blocks > 0
    header[483:495] = b"00004000000\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    entry = b"00000000001\0" * 2
    blocks = (entry * 21 + bytes([n + 1 < extended_blocks]) + bytes(7) for n in range(extended_blocks))
    fine = tarfile.TarInfo("fine")
    fine.size = 1
    end = fine.tobuf(tarfile.GNU_FORMAT) + b"1" + bytes(511) + bytes(1024)
    return bytes(header) + b"".join(blocks) + end


def pax_sparse(content: bytes = b"1\n0\n0\n".ljust(512, b"\0"), **headers: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("holes")
        info.size = len(content)
        info.pax_headers = {f"GNU.sparse.{name}": value for name, value in headers.items()}
        archive.addfile(info, io.BytesIO(content))
        fine = tarfile.TarInfo("fine")
        fine.size = 1
        archive.addfile(fine, io.BytesIO(b"1"))
    return out.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gnu_sparse(0),
        gnu_sparse(3),
        pax_sparse(major="1", minor="0", realsize=str(1 << 20)),
        pax_sparse(map="0,1", size=str(1 << 20)),
        pax_sparse(b"9" * 4096, major="1", minor="0", realsize="5"),
    ],
    ids=["gnu", "gnu-long-map", "pax-1.0", "pax-0.1", "pax-no-map"],
)
def test_sparse_files_are_refused(packed: bytes) -> None:
    """What they unpack to is not in the archive, and no limit of what is read counts it."""
    assert read(packed) == {"holes": "not_a_file", "fine": b"1"}


def test_the_map_of_a_sparse_file_is_not_kept() -> None:
    packed = gnu_sparse(8192)
    with little_memory():
        assert read(packed)["holes"] == "not_a_file"


def misnamed() -> bytes:
    """A zip whose list of members has a name that says that it is UTF-8 and is not."""
    return zipped({"\u00e9\u00e9": b"1"}).replace("\u00e9\u00e9".encode(), b"\xff\xfe\xff\xfe")


@pytest.mark.parametrize(
    "packed",
    [misnamed(), pax_sparse(map="0,x"), pax_sparse(realsize="x"), gnu_sparse(2)[:600]],
    ids=["name", "map", "size", "cut-off-map"],
)
def test_what_the_readers_of_archives_trip_over(packed: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        read(packed)
    assert error.value.code == "archive_damaged"


def test_too_many_members() -> None:
    files = {f"{n}": b"" for n in range(51)}
    for packed in (zipped(files), tarred(files)):
        with pytest.raises(TooLarge, match="over 50 members"):
            read(packed)
    # So many that the very list of them is long: refused before it is read.
    with pytest.raises(TooLarge, match="over 50 members"):
        read(zipped({f"{n:0500}": b"" for n in range(60)}))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"PK",
        b"PK\x03\x04" + b"\0" * 100,
        zipped({"a": b"1"})[:-10],
        b"\x1f\x8b no gzip",
        tarred({"a": os.urandom(5000)})[:2000],
        b"Rar!\x1a\x07",
        b"7z\xbc\xaf\x27\x1c",
        zipped({"a": b"1"})[:-22] + b"PK\x06\x07" + b"\0" * 16 + zipped({"a": b"1"})[-22:],
    ],
    # Named, for an archive holds the time at which it was made, and workers that collect apart must agree.
    ids=[
        "empty",
        "zip's first letters",
        "zip header of zeros",
        "zip without its end",
        "gzip header of no gzip",
        "half a tar",
        "rar",
        "7z",
        "zip64 locator of zeros",
    ],
)
def test_what_is_no_archive(packed: bytes) -> None:
    with pytest.raises(BadRequest):
        read(packed)


def test_an_encrypted_member() -> None:
    packed = bytearray(zipped({"a": b"1"}))
    packed[packed.rfind(b"PK\x01\x02") + 8] |= 1
    assert read(bytes(packed)) == {"a": "archive_encrypted"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "allowed"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "one.png").write_bytes(picture(1))
    (root / "sub" / "two.png").write_bytes(picture(2))
    (root / "sub" / "deep" / "note.txt").write_text("a note", encoding="utf-8")
    (root / ".secret").write_text("x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "private.png").write_bytes(picture(3))
    (root / "link.png").symlink_to(tmp_path / "outside" / "private.png")
    (root / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe")
    return root


def test_a_folder_is_walked_without_links(root: Path) -> None:
    folders = ServerFolders([root])
    assert [path for _, path in folders.files(str(root), 10)] == ["one.png", "sub/deep/note.txt", "sub/two.png"]
    assert [path for _, path in folders.files(str(root / "sub"), 10)] == ["sub/deep/note.txt", "sub/two.png"]
    with pytest.raises(BadRequest, match="more than 2 files"):
        folders.files(str(root), 2)


@pytest.mark.parametrize(
    ("inside", "error"),
    [
        ("../outside", Forbidden),
        ("sub/../../outside", Forbidden),
        ("linked", BadRequest),
        ("linked/x", BadRequest),
        ("missing", BadRequest),
        ("one.png", BadRequest),
        ("a\0b", BadRequest),
    ],
)
def test_folders_that_are_refused(root: Path, inside: str, error: type[CrossrayError]) -> None:
    with pytest.raises(error):
        ServerFolders([root]).files(f"{root}/{inside}", 10)


def test_only_below_the_roots(root: Path) -> None:
    for folder in ("/", "/etc", str(root.parent), f"{root}x"):
        with pytest.raises(Forbidden, match=r"jobs\.folders"):
            ServerFolders([root]).files(folder, 10)
    with pytest.raises(Forbidden):
        ServerFolders([]).files(str(root), 10)


def test_what_was_exchanged_after_the_listing_is_not_followed(root: Path) -> None:
    folders = ServerFolders([root])
    name = str(root)
    (root / "one.png").unlink()
    (root / "one.png").symlink_to(root.parent / "outside" / "private.png")
    (root / "sub").rename(root / "moved")
    (root / "sub").symlink_to(root.parent / "outside")
    for path in (
        "one.png",
        "sub/private.png",
        "link.png",
        "pipe",
        "linked/private.png",
        "../outside/private.png",
        "gone",
    ):
        with pytest.raises(InputError):
            folders.read(name, path, 1 << 20)
    with pytest.raises(InputError, match="over the limit"):
        folders.read(name, "moved/two.png", 10)
    with pytest.raises(InputError, match="any more"):
        ServerFolders([]).read(name, "moved/two.png", 1 << 20)


@contextlib.contextmanager
def handles(more: int) -> Iterator[None]:
    """Only so many handles can be opened."""
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + more, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)


def test_too_few_handles_are_not_the_fault_of_a_file(root: Path) -> None:
    folders = ServerFolders([root])
    with handles(1), pytest.raises(OSError, match="Too many open files"):
        folders.read(str(root), "one.png", 1 << 20)
    with handles(0), pytest.raises(Unavailable, match="Too many open files"):
        folders.read(str(root), "one.png", 1 << 20)
    for more in range(4):
        with handles(more), pytest.raises(Unavailable, match="Too many open files"):
            folders.files(str(root), 10)
    assert folders.read(str(root), "one.png", 1 << 20) == picture(1)


def test_a_root_that_is_not_mounted_is_waited_for(root: Path) -> None:
    folders = ServerFolders([root])
    hidden = root.rename(root.parent / "away")
    with pytest.raises(Unavailable):
        folders.read(str(root), "one.png", 1 << 20)
    with pytest.raises(Unavailable):
        folders.files(str(root), 10)
    hidden.rename(root)
    assert folders.read(str(root), "one.png", 1 << 20) == picture(1)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOENT])
def test_one_folder_among_many_that_cannot_be_opened(root: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, and no disk fails on demand."""
    usual = os.open

    def failing(path: str | Path, flags: int, *more: int, dir_fd: int | None = None) -> int:
        if path == "deep":
            raise OSError(number, os.strerror(number))
        return usual(path, flags, *more, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", failing)
    folders = ServerFolders([root])
    if number == errno.ENOENT:
        assert [path for _, path in folders.files(str(root), 10)] == ["one.png", "sub/two.png"]
    else:
        with pytest.raises(BadRequest if number == errno.EACCES else Unavailable, match="sub/deep"):
            folders.files(str(root), 10)


@pytest.fixture
async def stack(root: Path, tmp_path: Path) -> AsyncIterator[JobStack]:
    one = JobStack(tmp_path, folders=[root])
    yield one
    await one.close()


async def test_a_job_of_a_folder(stack: JobStack, root: Path) -> None:
    job = await stack.create(folder=str(root), tags=["server"])
    assert job.total == 3
    await stack.work()
    assert (await stack.get(job.id)).counts["done"] == 3
    records, _ = await stack.items.page("", 10)
    assert sorted(record.payload.source for record in records) == ["one.png", "sub/deep/note.txt", "sub/two.png"]
    assert stack.spooled() == []
