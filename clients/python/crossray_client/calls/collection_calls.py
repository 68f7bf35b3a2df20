"""Calls about collections and their versions."""

from __future__ import annotations

from crossray_client import readers
from crossray_client.answers import Collection, Collections, DeletedCollection, DroppedVersion, Version
from crossray_client.calls.call import Call, path_of
from crossray_client.inputs import given


def collections() -> Call[Collections]:
    """All collections and their versions, without counts."""
    return Call("GET", "/v1/collections", readers.dataclass(Collections))


def collection(name: str) -> Call[Collection]:
    """One collection, with the rows of its versions. Raises NotFound."""
    return Call("GET", path_of("collection", name), readers.dataclass(Collection))


def create_collection(
    name: str,
    *,
    encoder: str | None = None,
    dim: int | None = None,
    backend: str | None = None,
    index_type: str | None = None,
) -> Call[Collection]:
    """Make a collection without items; what is not given is as the server's settings have it. `encoder` is one that
    runs, by name, checkpoint or fingerprint. Not repeated where it may have worked: a repeat would find it there."""
    body = {"name": name} | given(encoder=encoder, dim=dim, backend=backend, index_type=index_type)
    return Call("POST", "/v1/collections", readers.dataclass(Collection), json=body, retried="unsent")


def delete_collection(name: str) -> Call[DeletedCollection]:
    """Delete a collection with its items and their files; the default one stays. Raises NotFound, unless this very call
    deleted it and the answer was lost."""
    gone = DeletedCollection(name=name, deleted=True)
    return Call("DELETE", path_of("collection", name), readers.dataclass(DeletedCollection), if_gone=gone)


def reindex(
    name: str,
    *,
    encoder: str | None = None,
    dim: int | None = None,
    backend: str | None = None,
    index_type: str | None = None,
    min_recall: float | None = None,
    probes: int | None = None,
    keep: bool | None = None,
    swap: bool | None = None,
    max_failed: int | None = None,
) -> Call[Version]:
    """Begin to build a version beside the live one; what is not given stays as the live version has it. Checked on
    `probes` stored items, it takes over where it finds `min_recall` of what exact search finds and no more than
    `max_failed` items were lost; with `swap=False` it is left ready. `keep` the version that was live.

    The build goes on by itself: `wait_for_version` waits for it, `drop_version` ends it. Not repeated where it may have
    worked: a repeat would find a build under way. Raises ApiError with status 409 where there is one."""
    body = given(encoder=encoder, dim=dim, backend=backend, index_type=index_type, min_recall=min_recall)
    body |= given(probes=probes, keep=keep, swap=swap, max_failed=max_failed)
    return Call(
        "POST", f"{path_of('collection', name)}/reindex", readers.dataclass(Version), json=body, retried="unsent"
    )


def promote(
    name: str,
    version: int,
    *,
    min_recall: float | None = None,
    probes: int | None = None,
    keep: bool | None = None,
    swap: bool | None = None,
    max_failed: int | None = None,
) -> Call[Version]:
    """Begin to bring a kept version up to date and have it take over; see `reindex`. Raises NotFound."""
    body = given(min_recall=min_recall, probes=probes, keep=keep, swap=swap, max_failed=max_failed)
    path = f"{_version(name, version)}/promote"
    return Call("POST", path, readers.dataclass(Version), json=body, retried="unsent")


def drop_version(name: str, version: int) -> Call[DroppedVersion]:
    """End a version's build, or delete a version that was kept. Raises NotFound, unless this very call dropped it and
    the answer was lost; ApiError with status 409 for the live one."""
    gone = DroppedVersion(name=name, version=version, deleted=True)
    return Call("DELETE", _version(name, version), readers.dataclass(DroppedVersion), if_gone=gone)


def _version(name: str, version: int) -> str:
    return f"{path_of('collection', name)}/versions/{version:d}"
