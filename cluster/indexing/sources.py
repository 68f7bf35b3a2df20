"""What `crossray index` finds on disk: images by their content, `.txt` files, and the lines of a text list.

Nothing here decodes an image or talks to a server; an image is recognised by its first bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.errors import ClusterError
from cluster.terms import Scalar
from encoders.images import SUPPORTED_MIMES, sniff

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif"}
)
TEXT_SUFFIXES = frozenset({".txt"})
HEAD_BYTES = 16
MAX_FILE_BYTES = 128 << 20
"""Beyond what any server takes: a file is read into memory whole, and several are at a time."""


class UnreadableSource(ClusterError):
    """One file that cannot be an item; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an item is made of: the bytes of an image file, or a text."""

    image: bytes | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to index. `text` is set for a line of a text list; else the content is read from `path`."""

    name: str
    path: str | None = None
    text: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)

    def read(self) -> Content:
        """The content. Raises UnreadableSource with the reason."""
        if self.path is None:
            return Content(text=self.text)
        try:
            if (size := Path(self.path).stat().st_size) > MAX_FILE_BYTES:
                raise UnreadableSource(f"has {size} bytes, and at most {MAX_FILE_BYTES} are read")
            data = Path(self.path).read_bytes()
        except OSError as error:
            raise UnreadableSource(f"cannot be read: {error.strerror or error}") from error
        if not data:
            raise UnreadableSource("is empty")
        if sniff(data) is not None:
            return Content(image=data)
        if Path(self.path).suffix.lower() in TEXT_SUFFIXES:
            return Content(text=_decode(data))
        kinds = ", ".join(mime.removeprefix("image/").upper() for mime in SUPPORTED_MIMES)
        raise UnreadableSource(f"is neither a .txt file nor, by its content, an image of a kind that is taken: {kinds}")


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """Every image and `.txt` file under `paths`, sorted within a folder, hidden names skipped.

    A path that is itself a file is always taken, so that a wrong one is reported rather than ignored. Links are
    followed; a folder reached twice, or through a loop, is walked once. Raises ClusterError when a path is missing.
    """
    found: list[Source] = []
    visited: set[tuple[int, int]] = set()
    for path in paths:
        if not path.exists():
            raise ClusterError(f"there is no file or folder {path}: give paths that exist")
        names = [str(path)] if path.is_file() else _walk(str(path), visited)
        found.extend(Source(name=Path(name).as_posix(), path=name) for name in names)
    return found


def read_text_list(path: Path) -> list[Source]:
    """One text item a line: plain lines, or for `.jsonl` a string or an object with `text`, `source`, `tags`,
    `metadata`. Empty lines are skipped. Raises ClusterError naming the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"cannot read {path}: {error}") from error
    parse = _parse_json_line if path.suffix.lower() in (".jsonl", ".ndjson") else _parse_plain_line
    return [parse(line, f"{path.name}:{row}") for row, line in enumerate(lines, 1) if line.strip()]


def _walk(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    status = Path(folder).stat()
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_dir(entry):
            yield from _walk(entry.path, visited)
        elif _is_candidate(entry):
            yield entry.path


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_candidate(entry: os.DirEntry[str]) -> bool:
    """By name, or by content where the name says nothing. Sockets, pipes and dangling links are none of ours."""
    try:
        if not entry.is_file():
            return False
        if Path(entry.name).suffix.lower() in IMAGE_SUFFIXES | TEXT_SUFFIXES:
            return True
        with Path(entry.path).open("rb") as file:
            return sniff(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UnreadableSource("is not UTF-8 text") from error
    if not text:
        raise UnreadableSource("is empty")
    return text


def _parse_plain_line(line: str, name: str) -> Source:
    return Source(name=name, text=line.strip())


def _parse_json_line(line: str, name: str) -> Source:
    try:
        value: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise ClusterError(f"{name} is not JSON: {error.msg} at column {error.colno}") from error
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict) or not isinstance(value.get("text"), str) or not value["text"].strip():
        raise ClusterError(f'{name}: a line is a string or an object with a "text"')
    if unknown := set(value) - {"text", "source", "tags", "metadata"}:
        raise ClusterError(f"{name}: unknown field {min(unknown)!r}; known are text, source, tags, metadata")
    tags, metadata = value.get("tags", []), value.get("metadata", {})
    if not isinstance(tags, list) or not isinstance(metadata, dict):
        raise ClusterError(f"{name}: tags is a list and metadata is an object")
    return Source(str(value.get("source", name)), text=value["text"], tags=tuple(map(str, tags)), metadata=metadata)
