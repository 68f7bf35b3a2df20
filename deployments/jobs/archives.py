"""The members of zip and tar archives, read without writing anything to a path that comes from a member's name.

An archive may be made to hurt: to unpack to terabytes, to have millions of members, to name files outside. Sizes are
counted as they come out, never believed. A member that is refused is told of with its reason; an archive that breaks a
limit as a whole raises.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, cast

from deployments.errors import BadRequest, TooLarge
from deployments.tar_headers import BoundedHeader

MIN_RATIO_BYTES = 16 << 20
"""Below so many unpacked bytes an archive may be packed as tightly as it likes: a page of one colour is."""
_END_BYTES = 22
_MAX_COMMENT_BYTES = 65_535
_ENTRY_BYTES = 46
_NAME_BYTES = 512
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of these zipfile unpacks only as much as is read; of bzip2 and LZMA all that a piece of the archive holds."""
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,  # also names that are not UTF-8
    IndexError,
    OverflowError,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How many members an archive may have, how large one of them and all together may be unpacked, and how many times
    larger than the archive that is."""

    members: int = 10_000
    member_bytes: int = 20 << 20
    total_bytes: int = 1 << 30
    ratio: int = 200


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an archive: its content, or why it is refused."""

    name: str
    data: bytes | None
    code: str | None = None
    reason: str | None = None


def members(file: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """The files of a zip, tar, tar.gz or tar.bz2, told apart by content. Folders and hidden files are passed over.

    Raises BadRequest for what is no such archive or a damaged one, TooLarge where a limit of the whole is broken.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(262)
    file.seek(0)
    meter = _Meter(limits, size)
    try:
        if head.startswith(b"PK"):
            yield from _zip_members(file, size, limits, meter)
        elif head.startswith(b"\x1f\x8b"):
            yield from _tar_members(cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb")), limits, meter)
        elif head.startswith(b"BZh"):
            yield from _tar_members(cast("IO[bytes]", bz2.BZ2File(file)), limits, meter)
        elif head[257:262] == b"ustar":
            yield from _tar_members(file, limits, meter)
        else:
            raise BadRequest("the archive is no zip, tar, tar.gz or tar.bz2", "archive", "archive_unsupported")
    except _BROKEN as error:
        raise BadRequest(f"the archive is damaged: {error}", "archive", "archive_damaged") from error


class _Meter:
    """Counts what comes out of an archive of `packed` bytes."""

    def __init__(self, limits: ArchiveLimits, packed: int) -> None:
        self._limits = limits
        self._most = min(limits.total_bytes, max(packed * limits.ratio, MIN_RATIO_BYTES))
        self._bytes = 0
        self._content_bytes = 0
        self._members = 0

    def add(self, count: int) -> None:
        """Raises TooLarge."""
        self._bytes += count
        if self._bytes > self._most:
            raise self._too_large()

    def content(self, count: int) -> None:
        """Of a member whose archive is counted itself: never more than that, whatever its header says. Raises
        TooLarge."""
        self._content_bytes += count
        if self._content_bytes > self._most:
            raise self._too_large()

    def member(self) -> None:
        """Raises TooLarge."""
        self._members += 1
        if self._members > self._limits.members:
            raise TooLarge(f"the archive has over {self._limits.members} members", "archive", "too_many_items")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the archive unpacks to over {self._most} bytes", "archive", "archive_too_large")


class _Metered:
    """What a stream gives, counted: also the headers between the members."""

    def __init__(self, file: IO[bytes], meter: _Meter) -> None:
        self._file = file
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._meter.add(len(data))
        return data


def _tar_members(file: IO[bytes], limits: ArchiveLimits, meter: _Meter) -> Iterator[Member]:
    stream = cast("IO[bytes]", _Metered(file, meter))
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=BoundedHeader, errors="replace") as archive:
        for info in archive:
            meter.member()
            if info.isdir() or _is_hidden(info.name):
                continue
            if (refused := _refused(info.name, info.isfile() and not info.issparse(), info.size, limits)) is not None:
                yield refused
                continue
            content = archive.extractfile(info)
            data = b"" if content is None else content.read()
            meter.content(len(data))
            yield Member(info.name, data)


def _zip_members(file: IO[bytes], size: int, limits: ArchiveLimits, meter: _Meter) -> Iterator[Member]:
    _require_small_directory(file, size, limits)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            meter.member()
            if info.is_dir() or _is_hidden(info.filename):
                continue
            kind = info.external_attr >> 28  # the type of a Unix file: 8 is a regular one, 0 not said
            if (refused := _refused(info.filename, kind in (0, 8), info.file_size, limits)) is not None:
                yield refused
            elif info.flag_bits & 1:
                yield Member(info.filename, None, "archive_encrypted", "the member is encrypted")
            elif info.compress_type not in _BOUNDED:
                reason = "the member is packed neither with deflate nor not at all"
                yield Member(info.filename, None, "archive_unsupported", reason)
            else:
                yield _unzipped(archive, info, limits, meter)


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ArchiveLimits, meter: _Meter) -> Member:
    try:
        with archive.open(info) as content:
            data = content.read(limits.member_bytes + 1)
    except _BROKEN as error:
        return Member(info.filename, None, "archive_damaged", f"the member is damaged: {error}")
    meter.add(len(data))
    if len(data) > limits.member_bytes:
        return Member(info.filename, None, "too_large", f"the member is over the limit of {limits.member_bytes} bytes")
    return Member(info.filename, data)


def _require_small_directory(file: IO[bytes], size: int, limits: ArchiveLimits) -> None:
    """The list of members, which zipfile reads whole, must be as long as that of `limits.members` can be.

    PKWARE's APPNOTE.TXT 4.3.16. The form for archives over 4 GiB is not taken: it can say another length.
    """
    tail_bytes = min(size, _END_BYTES + _MAX_COMMENT_BYTES + 20)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_BYTES:
        raise BadRequest("the archive is damaged: its list of members is missing", "archive", "archive_damaged")
    if b"PK\x06\x07" in tail:
        raise BadRequest("zip64 archives are not taken: pack it as tar", "archive", "archive_unsupported")
    directory_bytes = struct.unpack_from("<I", tail, at + 12)[0]
    if directory_bytes > limits.members * (_ENTRY_BYTES + _NAME_BYTES):
        raise TooLarge(f"the archive has over {limits.members} members", "archive", "too_many_items")


def _refused(name: str, is_file: bool, size: int, limits: ArchiveLimits) -> Member | None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":" or "\0" in name:
        return Member(name, None, "unsafe_name", "the member's name leads out of the archive")
    if not is_file:
        return Member(name, None, "not_a_file", "the member is a link, a device or a sparse file")
    if size > limits.member_bytes:
        return Member(name, None, "too_large", f"the member is over the limit of {limits.member_bytes} bytes")
    return None


def _is_hidden(name: str) -> bool:
    """As an indexer of folders passes over them; macOS puts its own beside every file."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any((part.startswith(".") and part not in (".", "..")) or part == "__MACOSX" for part in parts)
