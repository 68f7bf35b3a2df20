"""Jobs and their items."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossray_client.inputs import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class JobItem:
    """How one item of a job fares. `state` is pending, leased, done, failed (its content is at fault), dead (it failed
    as often as is tried: a retry does it anew) or cancelled; `item_id` is what it is stored as."""

    position: int
    name: str
    state: str
    attempts: int
    item_id: str | None
    error_code: str | None
    error_message: str | None
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. `state` is queued, running, done, failed (not one item is done) or cancelled; `counts` are its items by
    state; `rate` is items that ended a second, `eta_s` the seconds left at that rate; `errors` its first failed items,
    where one job was asked for. Times are in seconds since the epoch."""

    id: str
    state: str
    collection: str = "default"
    total: int
    counts: dict[str, int]
    tags: list[str]
    metadata: dict[str, Scalar]
    rate: float
    eta_s: float | None
    created_at: float
    updated_at: float
    finished_at: float | None
    errors: list[JobItem] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return self.finished_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Jobs, the latest first; `next` is the `before` of the next page, None at the end."""

    jobs: list[Job]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobItemPage:
    """A job's items by position; `next` is the `after` of the next page, None at the end."""

    items: list[JobItem]
    next: int | None
