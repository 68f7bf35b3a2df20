"""A media store behind a URL of fsspec: S3 and what speaks like it, or another file system that fsspec knows.

Source: https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from retrieval.errors import MediaUnavailable, MissingExtra
from retrieval.media.base import PREFIXES, Aside, derived_path, is_address, media_address, relative_path

T = TypeVar("T")

S3_PROTOCOLS = frozenset(("s3", "s3a"))
OBJECT_STORES = S3_PROTOCOLS | {"gs", "gcs", "az", "abfs", "oss", "tos", "oci", "memory"}
"""Where a file that is written is seen whole or not at all, and names are listed by how they start."""
CALLS = 32
"""Calls under way at once; more wait, and their time runs."""
REASON_CHARS = 200


class UrlMedia:
    """Implements `retrieval.media.MediaStore`. A file is as durable as the service that acknowledged it."""

    is_near = False

    def __init__(self, url: str, options: Mapping[str, Any], deadline_s: float) -> None:
        """`options` are those of the URL's file system in fsspec. A call that takes longer than `deadline_s`, with
        what the file system repeats of it, has failed.

        Nothing is asked of the store yet. Raises MissingExtra, and MediaUnavailable for a URL of no known kind.
        """
        self._name = url
        self._fs, self._root = _file_system(url, options, deadline_s)
        self._deadline_s = deadline_s
        self._calls = ThreadPoolExecutor(CALLS, thread_name_prefix="media")

    def put(self, data: bytes) -> str:
        """Written also where it is there already: that takes one call where to look first would take two."""
        address = media_address(data)
        self._write(self._path(relative_path(address)), data)
        return address

    def exists(self, address: str) -> bool:
        path = self._path(relative_path(address))

        def look() -> bool:  # the file systems' own `exists` is False also where nobody answered
            try:
                return bool(self._fs.info(path)["type"] == "file")
            except FileNotFoundError:
                return any(self._set_aside(address))

        return self._ask(look)

    def get(self, address: str) -> bytes | None:
        data = self._read(self._path(relative_path(address)))
        if data is not None:
            return data
        for path in self._ask(lambda: self._set_aside(address)):
            if (data := self._read(path)) is not None:
                return data
        return self._read(self._path(relative_path(address)))  # where it was brought back between the two looks

    def set_aside(self, address: str) -> None:
        path = self._path(relative_path(address))
        self._ask(lambda: self._remove_derived(path))
        self._move(path, self._path(Aside.now(address).path))

    def aside(self, older_than_s: float) -> Iterator[Aside]:
        for name in self._names(".aside"):  # they are few: all at once takes fewer calls
            aside = Aside.of_name(name)
            if aside is not None and aside.age_s >= older_than_s:
                yield aside

    def bring_back(self, aside: Aside) -> None:
        self._move(self._path(aside.path), self._path(relative_path(aside.address)))

    def drop(self, aside: Aside) -> None:
        self._remove(self._path(aside.path))

    def walk(self) -> Iterator[str]:
        for prefix in PREFIXES:
            yield from filter(is_address, self._names(prefix))

    def age_s(self, address: str) -> float | None:
        path = self._path(relative_path(address))

        def look() -> float | None:
            try:
                modified: datetime = self._fs.modified(path)
            except FileNotFoundError:
                return None
            return time.time() - (modified if modified.tzinfo else modified.replace(tzinfo=UTC)).timestamp()

        return self._ask(look)

    def delete(self, address: str) -> None:
        """What was derived goes first: a file that is there can be deleted again."""
        path = self._path(relative_path(address))
        self._ask(lambda: self._remove_derived(path))
        self._remove(path)

    def put_derived(self, address: str, name: str, data: bytes) -> None:
        self._write(self._path(derived_path(address, name)), data)

    def get_derived(self, address: str, name: str) -> bytes | None:
        return self._read(self._path(derived_path(address, name)))

    def _path(self, relative: str) -> str:
        return f"{self._root}/{relative}"

    def _read(self, path: str) -> bytes | None:
        def read() -> bytes | None:
            try:
                return bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                return None

        return self._ask(read)

    def _write(self, path: str, data: bytes) -> None:
        def write() -> None:
            if _protocols(self._fs) & OBJECT_STORES:
                self._fs.pipe_file(path, data)
                return
            written = self._path(f".writing/{uuid.uuid4().hex}")
            for folder in (path, written):
                self._fs.makedirs(folder.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(written, data)
            self._fs.mv(written, path)

        self._ask(write)

    def _move(self, path: str, to: str) -> None:
        """Copies, and only then removes: between the two the file is in both places, and never in none."""

        def move() -> None:
            with contextlib.suppress(FileNotFoundError):
                if not _protocols(self._fs) & OBJECT_STORES:
                    self._fs.makedirs(to.rpartition("/")[0], exist_ok=True)
                self._fs.cp_file(path, to)
                self._fs.rm_file(path)

        self._ask(move)

    def _remove(self, path: str) -> None:
        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(path)

        self._ask(remove)

    def _remove_derived(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            for derived in self._beginning_with(f"{path}."):
                self._fs.rm_file(derived)

    def _names(self, folder: str) -> list[str]:
        def names() -> list[str]:
            try:
                return [path.rpartition("/")[2] for path in self._fs.find(self._path(folder))]
            except FileNotFoundError:
                return []

        return self._ask(names)

    def _set_aside(self, address: str) -> list[str]:
        try:
            return self._beginning_with(self._path(f".aside/{address[:2]}/{address}."))
        except FileNotFoundError:
            return []

    def _beginning_with(self, start: str) -> list[str]:
        folder = start.rpartition("/")[0]
        if _protocols(self._fs) & OBJECT_STORES:
            found = self._fs.find(folder, prefix=start.rpartition("/")[2])
        else:
            found = self._fs.ls(folder, detail=False)
        return [path for path in found if path.startswith(start)]

    def _ask(self, call: Callable[[], T]) -> T:
        """What the call returns. A call given up ends by itself, by the file system's own limits: what it still writes
        is a file by its content, at its address."""
        running = self._calls.submit(call)
        try:
            return running.result(self._deadline_s)
        except TimeoutError as error:
            running.cancel()
            raise MediaUnavailable(f"{self._name} did not answer within {self._deadline_s:g} s") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:REASON_CHARS]
            raise MediaUnavailable(f"{self._name}: {type(error).__name__}: {reason}") from error


def _file_system(url: str, options: Mapping[str, Any], deadline_s: float) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError as error:
        raise MissingExtra("fsspec") from error
    protocol = url.partition("://")[0]
    if protocol in S3_PROTOCOLS:
        options = _s3_options(options, deadline_s)
    try:
        # An instance of its own, and no lists of names kept: others write to the store, too.
        fs, root = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **options)
    except (ImportError, ValueError) as error:
        if protocol in S3_PROTOCOLS and isinstance(error, ImportError):
            raise MissingExtra("s3fs", "s3") from error
        raise MediaUnavailable(f"{url}: {error}") from error
    return fs, root.rstrip("/")


def _s3_options(options: Mapping[str, Any], deadline_s: float) -> dict[str, Any]:
    """botocore's own patience is minutes; s3fs repeats calls beside it. An answer must come within the deadline."""
    patience = {
        "connect_timeout": deadline_s / 2,
        "read_timeout": deadline_s,
        "retries": {"mode": "standard", "total_max_attempts": 2},
    }
    return {**options, "config_kwargs": patience | dict(options.get("config_kwargs", {}))}


def _protocols(fs: Any) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
