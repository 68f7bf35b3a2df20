"""Collections, their versions, and how a version was built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedItem:
    """An item that could not be brought into a version."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How far a version's build is, and what it found. `recall` is that of its index against exact search, on `probes`
    stored items; `agreement` the share of an item's ten nearest that are the same in the version that was live;
    `detail` says why it did not take over."""

    phase: str
    done: int
    total: int
    reused: int
    failed: int
    failures: list[FailedItem]
    recall: float | None
    agreement: float | None
    probes: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Recall@10 of the live index against exact search: `queries` vectors among `rows`, measured at `at` (seconds since
    the epoch) within `seconds`."""

    recall: float
    queries: int
    rows: int
    seconds: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a collection. `state` is building, swapping, ready, live, retired (kept) or dropping; `count` its
    rows, where one collection was asked for and its index answers."""

    id: int
    state: str
    encoder: str
    fingerprint: str
    contract: dict[str, str | int]
    dim: int
    backend: str
    index: dict[str, str]
    created_at: float
    count: int | None = None
    build: Build
    canary: Canary | None = None

    @property
    def is_under_way(self) -> bool:
        return self.state in ("building", "swapping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A collection: `live` is the number of the version that answers, `fingerprint` that version's."""

    name: str
    created_at: float
    live: int
    fingerprint: str
    versions: list[Version]

    def version(self, id: int) -> Version | None:
        """The version of this number, None where it is gone."""
        return next((one for one in self.versions if one.id == id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """All collections, without counts."""

    data: list[Collection]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedCollection:
    """The collection is gone; its versions and files follow."""

    name: str
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedVersion:
    """The version is gone, or its build ends."""

    name: str
    version: int
    deleted: bool
