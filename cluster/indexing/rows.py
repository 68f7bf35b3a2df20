"""What a source gives: rows, each an item to be or the reason why it is none, and where reading may go on after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from cluster.errors import ClusterError
from cluster.terms import Scalar

Kind: TypeAlias = Literal["file", "lines", "jsonl", "csv", "tsv", "parquet", "tar"]


class UnreadableSource(ClusterError):
    """One row or file that cannot be an item; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """An image file's bytes, a text, or both; or, with `fault`, none of them and the reason.

    `name` says where it stands, such as `photos/a.jpg` or `texts.jsonl:7`. Without a `source` the name is kept as one.
    """

    name: str
    image: bytes | None = None
    text: str | None = None
    id: str | None = None
    source: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    fault: str | None = None

    @property
    def size_bytes(self) -> int:
        """Of its content, about."""
        return len(self.image or b"") + len(self.text or "")


@dataclass(frozen=True, slots=True)
class Shard:
    """One source file: of many rows, or of the kind "file", a photo or a text."""

    place: str
    """An absolute path, or an fsspec URL."""
    name: str
    """As the caller wrote it: what rows are called after."""
    kind: Kind
    stamp: str
    """Another one once the file has changed; empty where nothing would tell, and then no run remembers the file."""


class Mark(NamedTuple):
    """Where reading a file may begin. What the numbers are is the format's: mostly a byte and a line."""

    offset: int = 0
    line: int = 0


START = Mark()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of reading a file: a row, or none at the end; `after` is where to go on when all so far is done."""

    row: Row | None
    after: Mark
    last: bool = False
    """Nothing of this file comes after it."""
