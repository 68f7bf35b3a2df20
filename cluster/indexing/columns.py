"""Which column of a row is what. One table for JSONL, CSV, Parquet and tar, so that all mean the same."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from cluster.errors import ClusterError
from cluster.indexing.places import SCHEME, beside, read_whole
from cluster.indexing.rows import Row, UnreadableSource
from cluster.terms import Scalar, parse_scalar
from encoders.images import sniff

IMAGE_COLUMNS = ("image", "image_path", "image_bytes", "image_base64", "file_name", "jpg", "jpeg", "png", "webp")
"""The first that a row has is its image: `file_name` is how Hugging Face's image folders call it."""
TEXT_COLUMNS = ("text",)
OWN_COLUMNS = ("id", "source", "tags", "metadata")
Others: TypeAlias = Literal["refuse", "metadata", "ignore"]


class UnknownColumns(UnreadableSource):
    """A row has columns that nobody said what they are."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        super().__init__(self.names)

    def __str__(self) -> str:
        return (
            f"unknown {'field' if len(self.names) == 1 else 'fields'} {', '.join(map(repr, self.names))}: say which is "
            "--image-column or --text-column, and --other-columns metadata or ignore for the rest"
        )


@dataclass(frozen=True, slots=True)
class Columns:
    """What the caller says of columns; None is the first of the usual names, and an empty name is none at all."""

    image: str | None = None
    text: str | None = None
    others: Others = "refuse"

    def image_of(self, names: Iterable[str]) -> str | None:
        """Raises UnreadableSource where the column that was asked for is not there."""
        return _choose(self.image, IMAGE_COLUMNS, list(names))

    def text_of(self, names: Iterable[str]) -> str | None:
        return _choose(self.text, TEXT_COLUMNS, list(names))

    def check(self, names: Iterable[str]) -> None:
        """Raises UnreadableSource for a table that has no content, and UnknownColumns."""
        have = list(names)
        image, text = self.image_of(have), self.text_of(have)
        if image is None and text is None:
            raise UnreadableSource(
                f"has neither an image nor a text among its columns {', '.join(map(repr, have)) or '(none)'}: "
                "name one with --image-column or --text-column"
            )
        if self.others == "refuse" and (unknown := set(have) - {image, text, *OWN_COLUMNS}):
            raise UnknownColumns(unknown)

    def needed(self, names: Iterable[str]) -> list[str]:
        """The columns that have to be read."""
        have = list(names)
        kept = {self.image_of(have), self.text_of(have), *OWN_COLUMNS}
        return [name for name in have if self.others == "metadata" or name in kept]

    def row(self, values: Mapping[str, Any], name: str, place: str | None, *, untyped: bool = False) -> Row:
        """The item that a row's values make, its image read; or the row with its fault.

        `place` is the file that it stands in: paths of images are beside it; None where a row has to bring its image
        along. `untyped` says that all values are texts, so that metadata is taken for what it looks like.
        """
        present = {key: value for key, value in values.items() if not _is_missing(value)}
        try:
            return self._row(present, name, place, parse_scalar if untyped else str)
        except ClusterError as error:
            return Row(name, fault=str(error))

    def _row(self, values: dict[str, Any], name: str, place: str | None, parse: Callable[[str], Scalar]) -> Row:
        image_column, text_column = self._chosen(values)
        others = {key: value for key, value in values.items() if key not in {image_column, text_column, *OWN_COLUMNS}}
        if others and self.others == "refuse":
            raise UnknownColumns(others)
        image = None if image_column is None else read_image(values[image_column], place)
        text = None if text_column is None else _text(values[text_column], text_column)
        if image is None and text is None:
            raise UnreadableSource('has no content: a row is an object with a "text", an "image", or both')
        metadata = _metadata(values.get("metadata", {}))
        if self.others == "metadata":
            metadata = {key: _scalar(key, value, parse) for key, value in others.items()} | metadata
        return Row(
            name,
            image=image,
            text=text,
            id=None if "id" not in values else str(values["id"]),
            source=None if "source" not in values else str(values["source"]),
            tags=_tags(values.get("tags", [])),
            metadata=metadata,
        )

    def _chosen(self, values: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """A row may lack what its neighbours have: a column that was named may be missing here, if not both are."""
        image = self.image if self.image in values else _choose(None, IMAGE_COLUMNS, values) if not self.image else None
        text = self.text if self.text in values else _choose(None, TEXT_COLUMNS, values) if not self.text else None
        return (None if self.image == "" else image), (None if self.text == "" else text)


def _choose(named: str | None, usual: Iterable[str], names: Iterable[str]) -> str | None:
    have = list(names)
    if named is None:
        return next((name for name in usual if name in have), None)
    if named and named not in have:
        raise UnreadableSource(f"has no column {named!r}; it has {', '.join(map(repr, have))}")
    return named or None


def read_image(value: Any, place: str | None) -> bytes:
    """An image's bytes from what a cell holds: bytes, a data: URI, base64, a path, or Hugging Face's {bytes, path}.

    Raises UnreadableSource.
    """
    if isinstance(value, Mapping):
        inner = value.get("bytes") if value.get("bytes") is not None else value.get("path")
        if inner is None or isinstance(inner, Mapping):
            raise UnreadableSource("its image is an object without bytes and path")
        return read_image(inner, place)
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
    elif isinstance(value, str):
        data = _from_base64(value) or _from_path(value, place)
    else:
        raise UnreadableSource(f"its image is {type(value).__name__}, not bytes, base64, a data: URI or a path")
    if not data:
        raise UnreadableSource("its image is empty")
    return data


def _from_base64(value: str) -> bytes | None:
    """None where it is not base64 of an image: then it is a path."""
    if value.startswith("data:"):
        head, _, value = value.partition(",")
        if not head.endswith(";base64"):
            raise UnreadableSource("its image is a data: URI that is not base64")
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnreadableSource("its image is a data: URI, and not valid base64") from error
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if sniff(data) is not None else None


def _from_path(value: str, place: str | None) -> bytes:
    if not value.strip():
        raise UnreadableSource("its image is empty")
    if len(value) > 1024 and SCHEME.match(value) is None:
        raise UnreadableSource("its image is neither base64 of an image nor a path")
    if place is None:
        raise UnreadableSource("its image is a path or a URL: in an archive an image is a member, or base64")
    try:
        return read_whole(beside(place, value))
    except UnreadableSource as error:
        raise UnreadableSource(f"its image {value} {error}") from error
    except ValueError as error:  # a NUL in a path
        raise UnreadableSource(f"its image is no path: {error}") from error


def _text(value: Any, column: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UnreadableSource(f'its "{column}" is not a text, or an empty one')
    return value


def _tags(value: Any) -> tuple[str, ...]:
    """A list, or a text: a JSON list, or words between commas or semicolons."""
    if isinstance(value, str):
        value = _from_json(value, "tags") if value.lstrip().startswith("[") else re.split(r"[,;]", value)
        value = [tag.strip() if isinstance(tag, str) else tag for tag in value]
    if not isinstance(value, list | tuple):
        raise UnreadableSource("tags is a list")
    return tuple(str(tag) for tag in value if tag != "")


def _metadata(value: Any) -> dict[str, Scalar]:
    if isinstance(value, str):
        value = _from_json(value, "metadata")
    if isinstance(value, list):  # how Parquet has a map
        value = dict(value) if all(isinstance(pair, tuple) for pair in value) else value
    if not isinstance(value, Mapping):
        raise UnreadableSource("metadata is an object")
    return {str(key): item for key, item in value.items() if item is not None}


def _scalar(key: str, value: Any, parse: Callable[[str], Scalar]) -> Scalar:
    """A cell kept as metadata."""
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, bool | int | float):
        return value
    raise UnreadableSource(f"its field {key!r} is {type(value).__name__}, which metadata cannot hold: leave it out")


def _from_json(text: str, field: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"{field} is not JSON: {error}") from error


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
