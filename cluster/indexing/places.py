"""Files by path or URL: listing, opening, and what tells that one has changed. Local, and the stores of fsspec that
lead to no other place."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from cluster.errors import ClusterError
from cluster.indexing.rows import UnreadableSource

MAX_FILE_BYTES = 128 << 20
"""Beyond what any server takes: an image or a text is read into memory whole, and several are at a time."""

SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
SCHEMES = ("file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hdfs")
"""All that is opened. Rows of a dataset hold URLs too, and fsspec knows schemes that fetch from any address."""
CHAIN = "::"
"""How fsspec has a URL inside another one (https://filesystem-spec.readthedocs.io/en/latest/features.html#url-chaining):
the inner one would be of any scheme."""
LOCAL = ("file://", "local://")
VERSIONS = ("ETag", "etag", "checksum", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")
"""Fields of a listing that change with a file's content, the surest first; which there are is up to the store."""


def is_url(place: str) -> bool:
    return SCHEME.match(place) is not None


def local_path(place: str) -> str:
    """`file:///a/b` as a path; anything else as it is."""
    return place[7:] if place.lower().startswith("file://") else place


def file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it. Raises ClusterError for a kind that is not taken."""
    import fsspec

    found = SCHEME.match(url)
    scheme = found[1].lower() if found else "file"
    if scheme not in SCHEMES or CHAIN in url:
        fault = f"{CHAIN!r} is not taken in a URL" if CHAIN in url else f"{scheme}:// is not read"
        raise ClusterError(
            f"{url}: {fault}, and nothing is fetched from the web; download it, or give a path or one of "
            f"{', '.join(f'{one}://' for one in SCHEMES)}"
        )
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        hint = "pip install 'crossray[s3]'" if scheme in ("s3", "s3a") else str(error)
        raise ClusterError(f"{url}: a package for {scheme}:// is missing: {hint}") from error
    except ValueError as error:
        raise ClusterError(f"{url}: {error}") from error
    return fs, str(path)


def open_file(place: str) -> IO[bytes]:
    """A file to read and seek in. Raises OSError, or what the store's client raises."""
    if not is_url(place):
        return Path(place).open("rb")
    fs, path = file_system(place)
    return cast(IO[bytes], fs.open(path, "rb"))


def read_whole(place: str) -> bytes:
    """A file's bytes. Raises UnreadableSource with the reason."""
    try:
        with open_file(place) as file:
            size = file.seek(0, 2)
            if size > MAX_FILE_BYTES:
                raise UnreadableSource(f"has {size} bytes, and at most {MAX_FILE_BYTES} are read")
            file.seek(0)
            return file.read()
    except ClusterError as error:
        raise UnreadableSource(str(error)) from error
    except Exception as error:  # each store has errors of its own, and one file must not stop a run
        raise UnreadableSource(f"cannot be read: {why(error)}") from error


def beside(place: str, name: str) -> str:
    """Where a file is that another one names: next to it, unless the name is a path or a URL by itself.

    Raises UnreadableSource where a file of a store names one of this machine.
    """
    if is_url(name):
        if is_url(place) and name.lower().startswith(LOCAL):
            raise UnreadableSource("is a file of this machine, named by one that is not")
        return local_path(name)
    if not is_url(place):
        return str(Path(place).parent / name)
    scheme = place[: place.index("://") + 3]
    return scheme + posixpath.join(posixpath.dirname(place.removeprefix(scheme)), name)


def stamp_of(info: Mapping[str, Any]) -> str:
    """What changes when the file does: its size and the surest version that the listing tells.

    Empty where it tells none: another content may have the same size.
    """
    version = next((info[name] for name in VERSIONS if info.get(name) not in (None, "")), None)
    return "" if version is None else f"{info.get('size')} {version}"


def local_stamp(path: str) -> str:
    """Empty where there is no such file: a stamp that never matches."""
    try:
        status = Path(path).stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def why(error: BaseException) -> str:
    """An error of the system or a library in one line, without the path that it may repeat."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
