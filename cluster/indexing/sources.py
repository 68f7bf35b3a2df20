"""What `crossray index` finds: images by their content, `.txt` files, and tables and archives by their names.

Nothing here decodes an image or talks to a server; an image is recognised by its first bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from cluster.errors import ClusterError
from cluster.indexing.places import file_system, is_url, local_path, local_stamp, stamp_of, why
from cluster.indexing.rows import Kind, Shard
from cluster.indexing.shards import kind_of
from cluster.indexing.single_files import TEXT_SUFFIXES
from encoders.images import sniff

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".heic", ".heif"}
)
HEAD_BYTES = 16


class Found:
    """Shards in the order of reading, and data files of folders that were left out for the photos beside them."""

    def __init__(self) -> None:
        self.shards: list[Shard] = []
        self.passed_over: list[str] = []

    def add_folder(self, shards: Iterator[Shard]) -> None:
        """A folder is of photos and texts, or else of data files: a table beside photos says what they show, and its
        columns are nobody's guess."""
        single: list[Shard] = []
        data: list[Shard] = []
        for shard in shards:
            (single if shard.kind == "file" else data).append(shard)
        self.shards += single or data
        self.passed_over += [shard.place for shard in data] if single else []


def find_sources(places: Sequence[str | Path], texts: Sequence[str | Path] = ()) -> Found:
    """Every file under `places`: paths, or fsspec URLs with `*` where wanted. Sorted within a folder, hidden names
    skipped.

    A file that was named is always taken, so that a wrong one is reported rather than ignored. Links are followed; a
    folder reached twice, or through a loop, is walked once. Each of `texts` is a file with one text a line, or a
    JSONL. Raises ClusterError when a path is missing.
    """
    found = Found()
    visited: set[tuple[int, int]] = set()
    for place in map(local_path, map(str, places)):
        if is_url(place):
            _add_url(place, found)
        elif Path(place).is_dir():
            found.add_folder(_local(name) for name in _walk(place, visited))
        elif Path(place).exists():
            found.shards.append(_local(place))
        else:
            raise ClusterError(f"there is no file or folder {place}: give paths that exist")
    for place in map(local_path, map(str, texts)):
        kind = kind_of(place)
        found.shards.append(_text_list(place, "lines" if kind == "file" else kind))
    return found


def _local(name: str) -> Shard:
    return _local_as(name, kind_of(name))


def _text_list(place: str, kind: Kind) -> Shard:
    if is_url(place):
        fs, path = file_system(place)
        return Shard(place, place, kind, stamp_of(_info(fs, path, place)))
    if not Path(place).is_file():
        raise ClusterError(f"cannot read {place}: it is no file")
    return _local_as(place, kind)


def _local_as(name: str, kind: Kind) -> Shard:
    return Shard(str(Path(name).absolute()), Path(name).as_posix(), kind, local_stamp(name))


def _add_url(url: str, found: Found) -> None:
    fs, path = file_system(url)
    try:
        if "*" in path or "?" in path:
            infos = fs.glob(path, detail=True)
            found.shards += sorted(
                (_remote(fs, name, info) for name, info in infos.items() if info["type"] == "file"),
                key=lambda shard: shard.place,
            )
            return
        if fs.isdir(path):
            found.add_folder(_remote_folder(fs, path))
            return
    except Exception as error:
        raise ClusterError(f"{url} cannot be listed: {why(error)}") from error
    found.shards.append(Shard(url, url, kind_of(path), stamp_of(_info(fs, path, url))))


def _info(fs: object, path: str, url: str) -> dict[str, object]:
    try:
        info: dict[str, object] = fs.info(path)  # type: ignore[attr-defined]
    except FileNotFoundError as error:
        raise ClusterError(f"there is no {url}: give one that exists") from error
    except Exception as error:
        raise ClusterError(f"{url} cannot be read: {why(error)}") from error
    return info


def _remote_folder(fs: object, path: str) -> Iterator[Shard]:
    """A bucket's objects are told by their names alone: a look into each would be a request each."""
    infos: dict[str, dict[str, object]] = fs.find(path, detail=True)  # type: ignore[attr-defined]
    for name in sorted(infos):
        below = PurePosixPath(name).relative_to(PurePosixPath(path)) if name.startswith(path) else PurePosixPath(name)
        if any(part.startswith(".") for part in below.parts):
            continue
        if kind_of(name) != "file" or PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES | TEXT_SUFFIXES:
            yield _remote(fs, name, infos[name])


def _remote(fs: object, name: str, info: dict[str, object]) -> Shard:
    url = str(fs.unstrip_protocol(name))  # type: ignore[attr-defined]
    return Shard(url, url, kind_of(name), stamp_of(info))


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
        if kind_of(entry.name) != "file" or Path(entry.name).suffix.lower() in IMAGE_SUFFIXES | TEXT_SUFFIXES:
            return True
        with Path(entry.path).open("rb") as file:
            return sniff(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False
