"""Tar archives: WebDataset shards, and plain archives of images and texts.

Members that follow each other and share a name up to its first dot are one sample, as WebDataset has it
(https://github.com/webdataset/webdataset): `0001.jpg`, `0001.txt`, `0001.json` are an item's image, text and fields.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from cluster.indexing.columns import Columns
from cluster.indexing.places import MAX_FILE_BYTES, why
from cluster.indexing.rows import Mark, Row, Shard, Step, UnreadableSource
from cluster.indexing.single_files import decode_text
from deployments.tar_headers import BoundedHeader
from encoders.images import sniff

MAX_SAMPLE_BYTES = MAX_FILE_BYTES
"""Of a sample's members together: they are gathered in memory until its last one is there."""


@dataclass(slots=True)
class _Sample:
    """Members of one key, gathered. `fault` is what made one of them unusable."""

    key: str
    begin: Mark
    images: dict[str, bytes] = field(default_factory=dict)
    """By what follows the key in the member's name."""
    fields: dict[str, Any] = field(default_factory=dict)
    fault: str | None = None
    size: int = 0
    """Of its members so far, their headers and names counted too."""

    def refuse(self, fault: str) -> None:
        """Keeps the reason alone; what else of it comes is passed over."""
        self.fault = fault
        self.images.clear()
        self.fields.clear()

    @property
    def is_empty(self) -> bool:
        return not (self.images or self.fields or self.fault)


def read_tar(file: IO[bytes], shard: Shard, columns: Columns, start: Mark) -> Iterator[Step]:
    """One row a sample; a sample of several images, of which none was named as the column, is a row an image."""
    file.seek(start.offset)
    sample = _Sample("", start)
    after = start
    try:
        archive = tarfile.TarFile(fileobj=file, mode="r", tarinfo=BoundedHeader)
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep every member that it has seen
            archive.pax_headers.clear()  # type: ignore[attr-defined]  # and every global header
            if member.issparse():
                raise tarfile.ReadError("a member is sparse: pack it without --sparse")
            key, extension = split_name(member.name)
            if not member.isreg() or not extension or PurePosixPath(member.name).name.startswith("."):
                continue
            if key != sample.key:
                yield from _steps(sample, shard, columns, after)
                sample = _Sample(key, after)
            _take(archive, member, extension, sample)
            after = Mark(archive.offset)
        _require_end(file, archive.offset)
        yield from _steps(sample, shard, columns, after)
    except (tarfile.TarError, OSError, EOFError) as error:
        # What was gathered of the sample may lack a member: half an item would be silently wrong.
        fault = f"is no tar archive from here on, or is cut off: {why(error)}"
        yield Step(Row(f"{shard.name}/{sample.key}".rstrip("/"), fault=fault), sample.begin)
    yield Step(None, after, last=True)


def split_name(name: str) -> tuple[str, str]:
    """Key and extension, at the first dot of the last part: `a.b/c.seg.png` is `a.b/c` and `seg.png`."""
    path = PurePosixPath(name)
    stem, _, extension = path.name.partition(".")
    return str(path.parent / stem), extension.lower()


def _require_end(file: IO[bytes], offset: int) -> None:
    """An archive ends with blocks of zeros (POSIX.1-2008, pax). tarfile takes a damaged header for the end as well."""
    file.seek(offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its closing blocks are missing")


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, extension: str, sample: _Sample) -> None:
    if sample.fault is not None:
        return
    if member.size > MAX_FILE_BYTES:
        sample.refuse(f"its .{extension} has {member.size} bytes, and at most {MAX_FILE_BYTES} are read")
        return
    sample.size += tarfile.BLOCKSIZE + len(extension) + member.size
    if sample.size > MAX_SAMPLE_BYTES:
        sample.refuse(f"its members have over {MAX_SAMPLE_BYTES} bytes together, which is the limit")
        return
    content = archive.extractfile(member)
    data = b"" if content is None else content.read()
    try:
        if extension == "json":
            sample.fields |= _fields(data)
        elif extension == "txt":
            sample.fields["text"] = decode_text(data)
        elif sniff(data) is not None:
            sample.images[extension] = data
        elif extension == "cls":
            sample.fields["cls"] = decode_text(data)
        else:
            sample.refuse(f"its .{extension} is no image of a kind that is taken, nor .txt, .json or .cls")
    except UnreadableSource as error:
        sample.refuse(f"its .{extension} {error}")


def _fields(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnreadableSource("is not a JSON object")
    return value


def _steps(sample: _Sample, shard: Shard, columns: Columns, after: Mark) -> Iterator[Step]:
    """The sample's rows. Only after the last may a later run go on: the sample is read as one.

    Archives are passed around, so what one says about itself leads to no file beside it and to no URL.
    """
    if sample.is_empty:
        return
    name = f"{shard.name}/{sample.key}"
    if sample.fault is not None:
        yield Step(Row(name, fault=sample.fault), after)
        return
    named = columns.image if columns.image in sample.images else None
    chosen = [named] if named else list(sample.images)
    if len(chosen) < 2:
        image = {columns.image or "image": sample.images[chosen[0]]} if chosen and columns.image != "" else {}
        yield Step(columns.row(sample.fields | image, name, None), after)
        return
    for extension in chosen:
        values = sample.fields | {columns.image or "image": sample.images[extension]}
        reached = after if extension == chosen[-1] else sample.begin
        yield Step(columns.row(values, f"{name}.{extension}", None), reached)
