"""Calls about jobs."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossray_client import readers
from crossray_client.answers import Job, JobItemPage, JobPage
from crossray_client.calls.call import Call, form_value, path_of
from crossray_client.inputs import ImageSource, NewItem, check_image, given


def create_job(
    items: Iterable[NewItem] = (),
    *,
    urls: Iterable[str] = (),
    folder: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    id: str | None = None,
    collection: str | None = None,
) -> Call[Job]:
    """Have many items indexed later: given here (images are held in memory, as base64), fetched from URLs, or in a
    folder of the server, where it allows them. When the call returns the job is on disk. `tags` and `metadata` are
    given to every item. `id` is made here where none is given, so that a repeat makes no second job."""
    body = given(folder=folder, metadata=metadata, collection=collection) | {
        "id": id or _job_id(),
        "items": [item.body() for item in items],
        "urls": list(urls),
        "tags": list(tags),
    }
    return Call("POST", "/v1/jobs", readers.dataclass(Job), json=body)


def upload_job(
    files: Iterable[ImageSource] = (),
    *,
    archive: ImageSource | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    id: str | None = None,
    collection: str | None = None,
) -> Call[Job]:
    """As `create_job`, of files (images, and texts named .txt) and of the files in one zip or tar; all are streamed."""
    uploads = [("files", one) for one in files] + ([] if archive is None else [("archive", archive)])
    for _, one in uploads:
        check_image(one)
    fields: dict[str, Any] = {"id": id or _job_id(), "tags": list(tags)} | given(collection=collection)
    fields |= {} if metadata is None else {"metadata": form_value(metadata)}
    return Call("POST", "/v1/jobs", readers.dataclass(Job), fields=fields, uploads=uploads)


def jobs(before: str | None = None, *, limit: int = 20) -> Call[JobPage]:
    """Up to `limit` (at most 100) jobs, the latest first, behind the job `before`."""
    return Call("GET", "/v1/jobs", readers.dataclass(JobPage), params=given(before=before) | {"limit": str(limit)})


def job(id: str) -> Call[Job]:
    """How far a job is, and its first errors. Raises NotFound."""
    return Call("GET", path_of("job", id), readers.dataclass(Job))


def job_items(id: str, state: str | None = None, *, after: int = -1, limit: int = 100) -> Call[JobItemPage]:
    """Up to `limit` (at most 1000) of a job's items, of one state or of all. Raises NotFound."""
    params = given(state=state) | {"after": str(after), "limit": str(limit)}
    return Call("GET", path_of("job", id) + "/items", readers.dataclass(JobItemPage), params=params)


def retry_job(id: str) -> Call[Job]:
    """Have dead and cancelled items done anew. Raises NotFound."""
    return Call("POST", path_of("job", id) + "/retry", readers.dataclass(Job), json={})


def cancel_job(id: str) -> Call[Job]:
    """Items that are under way end, the others are cancelled. Raises NotFound."""
    return Call("DELETE", path_of("job", id), readers.dataclass(Job))


def _job_id() -> str:
    return f"job-{uuid.uuid4().hex}"
