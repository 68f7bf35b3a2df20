"""Files with a row a line: plain texts, and JSONL. A bad line is one bad row, however long it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import IO

from cluster.indexing.columns import Columns
from cluster.indexing.rows import Mark, Row, Shard, Step, UnreadableSource
from cluster.indexing.single_files import decode_text

MAX_LINE_BYTES = 192 << 20
"""A line may hold the largest image in base64."""

Parse = Callable[[bytes, str], Row]


def read_json_lines(file: IO[bytes], shard: Shard, columns: Columns, start: Mark) -> Iterator[Step]:
    """One object, or a text, a line (https://jsonlines.org). Empty lines are passed over."""

    def parse(line: bytes, name: str) -> Row:
        try:
            value = json.loads(line.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UnreadableSource("is not UTF-8") from error
        except json.JSONDecodeError as error:
            raise UnreadableSource(f"is not JSON: {error.msg} at column {error.colno}") from error
        except RecursionError as error:
            raise UnreadableSource("is not JSON that can be read: it is nested too deep") from error
        if isinstance(value, str):
            value = {columns.text or "text": value}
        if not isinstance(value, dict):
            raise UnreadableSource("is neither an object nor a text")
        return columns.row(value, name, shard.place)

    return _read(file, shard.name, parse, start)


def read_text_lines(file: IO[bytes], shard: Shard, columns: Columns, start: Mark) -> Iterator[Step]:
    """One text a line. Empty lines are passed over."""
    return _read(file, shard.name, lambda line, name: Row(name, text=decode_text(line)), start)


def _read(file: IO[bytes], source: str, parse: Parse, start: Mark) -> Iterator[Step]:
    file.seek(start.offset)
    after = start
    while line := file.readline(MAX_LINE_BYTES + 1):
        size = len(line)
        too_long = size > MAX_LINE_BYTES
        while too_long and not line.endswith(b"\n") and (line := file.readline(1 << 20)):
            size += len(line)
        after = Mark(after.offset + size, after.line + 1)
        name = f"{source}:{after.line}"
        if too_long:
            yield Step(Row(name, fault=f"is a line of {size} bytes, and at most {MAX_LINE_BYTES} are read"), after)
        elif line.strip():
            yield Step(_parsed(parse, line, name), after)
    yield Step(None, after, last=True)


def _parsed(parse: Parse, line: bytes, name: str) -> Row:
    try:
        return parse(line, name)
    except UnreadableSource as error:
        return Row(name, fault=str(error))
