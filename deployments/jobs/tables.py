"""The two tables of jobs, and the states that their rows go through.

    job    queued → running → done | failed | cancelled
    item   pending → leased → done | failed | dead, or back to pending for another attempt; pending → cancelled

A failed item is one whose content is at fault: another attempt would not help. A dead one failed for reasons that may
pass, as often as is tried: it can be replayed. A job is failed when it ended and none of its items is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
ItemState: TypeAlias = Literal["pending", "leased", "done", "failed", "dead", "cancelled"]

JOB_ENDS = ("done", "failed", "cancelled")
ITEM_STATES: tuple[ItemState, ...] = ("pending", "leased", "done", "failed", "dead", "cancelled")
UNFINISHED = ("pending", "leased")
REPLAYABLE = ("dead", "cancelled")

TABLES = MetaData()

JOBS = Table(
    "jobs",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("options", JSON, nullable=False),
    Column("spool", String(64)),
    Column("total", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("finished_at", Float),
    Index("jobs_by_time", "created_at", "id"),
)
"""`digest` tells whether a repeated request is the same; `spool` is the key of the file of its uploads. Times are
seconds since the epoch."""

JOB_ITEMS = Table(
    "job_items",
    TABLES,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("source", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("lease_owner", String(64)),
    Column("lease_until", Float),
    Column("updated_at", Float, nullable=False),
    Column("item_id", String(128)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    # By position before job, so that a small job does not wait behind a large one.
    Index("job_items_to_do", "state", "position", "job_id"),
    Index("job_items_of_job", "job_id", "state"),
)
"""Owner and number of the attempt are a lease's fencing token: a worker that lost its lease holds an old one."""


@dataclass(frozen=True, slots=True)
class NewJobItem:
    """An item to be done, or one that was found at fault before it began (`error_code`, `error_message`)."""

    name: str
    source: dict[str, Any]
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An item that a worker may work on until `lease_until`, its `attempts`-th attempt."""

    job_id: str
    position: int
    name: str
    source: dict[str, Any]
    options: dict[str, Any]
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `state` is done, failed, dead, or pending for another after `pause_s`."""

    lease: Lease
    state: ItemState
    item_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job and how far it is. `counts` has every state of items; `rate` is items that ended a second, lately."""

    id: str
    state: JobState
    total: int
    options: dict[str, Any]
    created_at: float
    updated_at: float
    finished_at: float | None
    counts: dict[str, int]
    rate: float

    @property
    def eta_s(self) -> float | None:
        """Seconds until the rest is done at this rate; None where that cannot be said."""
        left = self.counts["pending"] + self.counts["leased"]
        if self.state in JOB_ENDS or left == 0:
            return None
        return left / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class JobItem:
    """One row of a job's items as it is told of."""

    position: int
    name: str
    state: ItemState
    attempts: int
    item_id: str | None
    error_code: str | None
    error_message: str | None
    updated_at: float


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: items that may be leased now, all items by state, the age in seconds of the oldest job that
    waits, and of the spooled files asked about those that no item needs any more, and those that no job knows."""

    due: int
    counts: dict[str, int]
    oldest_pending_s: float
    released: frozenset[str]
    unknown: frozenset[str]
