"""A photo or a text in a file of its own: one row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from cluster.indexing.places import read_whole
from cluster.indexing.rows import Mark, Row, Shard, Step, UnreadableSource
from encoders.images import SUPPORTED_MIMES, sniff

TEXT_SUFFIXES = frozenset({".txt"})


def read_single(shard: Shard) -> Iterator[Step]:
    """The one row of a file, told by its content, or by `.txt`."""
    try:
        row = row_of_file(shard.name, read_whole(shard.place))
    except UnreadableSource as error:
        row = Row(shard.name, fault=str(error))
    yield Step(row, Mark(1), last=True)


def row_of_file(name: str, data: bytes) -> Row:
    """Raises UnreadableSource."""
    if not data:
        raise UnreadableSource("is empty")
    if sniff(data) is not None:
        return Row(name, image=data)
    if PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES:
        return Row(name, text=decode_text(data))
    kinds = ", ".join(mime.removeprefix("image/").upper() for mime in SUPPORTED_MIMES)
    raise UnreadableSource(f"is neither a .txt file nor, by its content, an image of a kind that is taken: {kinds}")


def decode_text(data: bytes) -> str:
    """Raises UnreadableSource for what is no UTF-8, and for nothing but space."""
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UnreadableSource("is not UTF-8 text") from error
    if not text:
        raise UnreadableSource("is empty")
    return text
