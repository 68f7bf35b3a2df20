"""From a request to a job's rows: what it names is listed, and what it sends is spooled."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from deployments.catalog.versions import DEFAULT
from deployments.errors import BadRequest, Forbidden
from deployments.jobs.archives import ArchiveLimits, members
from deployments.jobs.folders import ServerFolders
from deployments.jobs.sources import FileKind, kind_of_file
from deployments.jobs.spool import Spool, SpoolWriter
from deployments.jobs.tables import NewJobItem
from deployments.schemas.jobs import JobItemBody, JobOptions, JobRequest


@dataclass(frozen=True, slots=True)
class JobLimits:
    """How many items a job may have, what its archive may be, and whether it may name URLs."""

    items: int = 100_000
    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    urls: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request."""

    name: str
    file: IO[bytes]


@dataclass(frozen=True, slots=True)
class Intake:
    """What is to be written of a job. The uploads are on disk already, under the key `spool`; `digest` is the same for
    the same request."""

    items: list[NewJobItem]
    options: dict[str, Any]
    spool: str | None
    digest: str


class Intaker:
    """Reads requests. Blocking: for a thread of its own."""

    def __init__(self, spool: Spool, folders: ServerFolders, limits: JobLimits) -> None:
        self._spool = spool
        self._folders = folders
        self._limits = limits

    def request(self, body: JobRequest) -> Intake:
        """Raises BadRequest, Forbidden, StorageFull."""
        if body.urls and not self._limits.urls:
            raise Forbidden("URLs are not fetched here: jobs.urls.enabled is off", "urls", "urls_disabled")
        self._require_room(len(body.items) + len(body.urls))
        with self._spooling(any(item.image is not None for item in body.items)) as draft:
            for at, item in enumerate(body.items):
                draft.add(item.source or f"items[{at}]", item.image, _fields(item), "image")
            for url in body.urls:
                draft.place(url, {"kind": "url", "url": url}, "image")
            if body.folder is not None:
                for root, path in self._folders.files(body.folder, self._limits.items - len(draft.items)):
                    draft.place(path, {"kind": "folder", "root": root, "path": path}, kind_of_file(path))
        return self._done(draft, body)

    def uploads(self, options: JobOptions, files: Sequence[Upload], archive: Upload | None) -> Intake:
        """Raises BadRequest, TooLarge, StorageFull."""
        self._require_room(len(files))
        with self._spooling(True) as draft:
            for upload in files:
                data = upload.file.read(self._limits.archive.member_bytes + 1)
                if len(data) > self._limits.archive.member_bytes:
                    reason = f"the file is over the limit of {self._limits.archive.member_bytes} bytes"
                    draft.refuse(upload.name, "too_large", reason)
                else:
                    draft.add(upload.name, data, {}, kind_of_file(upload.name))
            for member in () if archive is None else members(archive.file, self._limits.archive):
                if member.data is None:
                    draft.refuse(member.name, member.code or "refused", member.reason or "refused")
                else:
                    draft.add(member.name, member.data, {}, kind_of_file(member.name))
                self._require_room(len(draft.items))
            self._require_any(draft)
        return self._done(draft, options)

    @contextlib.contextmanager
    def _spooling(self, wanted: bool) -> Iterator[_Draft]:
        if not wanted:
            yield _Draft(None)
            return
        with self._spool.writing() as writer:
            yield _Draft(writer)

    def _done(self, draft: _Draft, options: JobOptions) -> Intake:
        self._require_any(draft)
        common: dict[str, Any] = {"tags": list(options.tags), "metadata": dict(options.metadata)}
        if options.collection != DEFAULT:  # so that requests from before it had a name are still the same
            common["collection"] = options.collection
        digest = draft.digest(common)
        return Intake(draft.items, common, draft.key, digest)

    def _require_any(self, draft: _Draft) -> None:
        if not draft.items:
            raise BadRequest("there is no file in it", "body", "no_items")

    def _require_room(self, count: int) -> None:
        if count > self._limits.items:
            raise BadRequest(f"a job has at most {self._limits.items} items", "items", "too_many_items")


class _Draft:
    """The rows so far, and the hash of what they say and of what was sent."""

    def __init__(self, writer: SpoolWriter | None) -> None:
        self._writer = writer
        self._hash = hashlib.sha256()
        self.items: list[NewJobItem] = []

    @property
    def key(self) -> str | None:
        return None if self._writer is None else self._writer.key

    def add(self, name: str, data: bytes | None, fields: dict[str, Any], kind: FileKind) -> None:
        """An item whose file, if it has one, is sent along."""
        place = None if data is None or self._writer is None else {**self._writer.append(data), "as": kind}
        self.items.append(NewJobItem(name, {"fields": fields, "from": place}))
        self._note((name, fields, None if data is None else hashlib.sha256(data).hexdigest()))

    def place(self, name: str, place: dict[str, Any], kind: FileKind) -> None:
        """An item whose file is elsewhere."""
        self.items.append(NewJobItem(name, {"fields": {}, "from": {**place, "as": kind}}))
        self._note((name, place))

    def refuse(self, name: str, code: str, reason: str) -> None:
        self.items.append(NewJobItem(name, {"fields": {}, "from": None}, code, reason))
        self._note((name, code))

    def digest(self, options: dict[str, Any]) -> str:
        self._note((options,))
        return self._hash.hexdigest()

    def _note(self, said: Iterable[Any]) -> None:
        self._hash.update(json.dumps(list(said), sort_keys=True).encode() + b"\n")


def _fields(item: JobItemBody) -> dict[str, Any]:
    return item.model_dump(mode="json", exclude={"image"}, exclude_defaults=True)
