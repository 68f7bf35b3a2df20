"""CSV with a header line, as RFC 4180 has it: quoted cells may hold line breaks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from cluster.indexing.columns import Columns
from cluster.indexing.lines import MAX_LINE_BYTES
from cluster.indexing.rows import Mark, Row, Shard, Step, UnreadableSource

MAX_CELL_CHARS = MAX_LINE_BYTES


class _CountedLines:
    """The file's lines as text, and how far they were taken. What is no UTF-8 comes as lone surrogates."""

    def __init__(self, file: IO[bytes], start: Mark) -> None:
        self.after = start
        self._file = file
        file.seek(start.offset)

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(MAX_LINE_BYTES + 1):
            self.after = Mark(self.after.offset + len(line), self.after.line + 1)
            yield line.decode("utf-8", errors="surrogateescape")


def read_csv(file: IO[bytes], shard: Shard, columns: Columns, start: Mark, *, delimiter: str = ",") -> Iterator[Step]:
    """One row a record; its name is the file's with the line that it begins on. Raises UnreadableSource for a header
    that makes no items."""
    csv.field_size_limit(MAX_CELL_CHARS)
    head = _CountedLines(file, Mark())
    names = _header(head, delimiter)
    columns.check(names)
    lines = _CountedLines(file, max(start, head.after))
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        name = f"{shard.name}:{lines.after.line + 1}"
        try:
            cells = next(records)
        except StopIteration:
            break
        except csv.Error as error:
            yield Step(Row(name, fault=f"is not CSV: {error}"), lines.after)
            records = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if cells:
            yield Step(_row(cells, names, name, shard.place, columns), lines.after)
    yield Step(None, lines.after, last=True)


def _header(lines: _CountedLines, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader(lines, delimiter=delimiter, strict=True))
    except StopIteration:
        raise UnreadableSource("is empty") from None
    except csv.Error as error:
        raise UnreadableSource(f"is not CSV: {error}") from error
    names = [name.removeprefix("\ufeff").strip() for name in names]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UnreadableSource(f"has two columns {min(twice)!r}")
    return names


def _row(cells: list[str], names: list[str], name: str, place: str, columns: Columns) -> Row:
    if len(cells) != len(names):
        return Row(name, fault=f"has {len(cells)} cells, and the header has {len(names)}")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return Row(name, fault="is not UTF-8")
    return columns.row(dict(zip(names, cells, strict=True)), name, place, untyped=True)
