"""Jobs as workers see them: take items for a while, say how they ended, and the sweep that mends what went wrong.

Of two workers that ask at once each gets other items: PostgreSQL passes over rows that another transaction has locked,
and SQLite lets one transaction write at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, func, select, tuple_, update
from sqlalchemy.sql import ColumnElement

from deployments.jobs.database import JobDatabase, now
from deployments.jobs.ledger import finish_ended, plain
from deployments.jobs.tables import (
    ITEM_STATES,
    JOB_ENDS,
    JOB_ITEMS,
    JOBS,
    REPLAYABLE,
    UNFINISHED,
    Lease,
    Outcome,
    Swept,
)

PRUNED_JOBS = 20


@dataclass(frozen=True, slots=True)
class LeaseLimits:
    """How long a lease lasts, how often an item is tried, and how long jobs are remembered after their end."""

    lease_s: float = 60.0
    attempts: int = 10
    keep_s: float = 7 * 86400.0


class LeaseTable:
    """The tables of jobs for workers. Raises Unavailable and StorageFull, as Database does."""

    def __init__(self, database: JobDatabase, limits: LeaseLimits) -> None:
        self._database = database
        self.limits = limits

    async def exchange(self, owner: str, outcomes: Sequence[Outcome], want: int) -> list[Lease]:
        """Settles what ended and leases up to `want` further items, in one transaction.

        An outcome whose lease went to another meanwhile is dropped: the other one's counts.
        """

        def work(connection: Connection) -> list[Lease]:
            at = now(connection)
            settled = {o.lease.job_id for o in outcomes if self._settle(connection, owner, o, at)}
            leases = self._lease(connection, owner, want, at) if want else []
            if settled:
                finish_ended(connection, sorted(settled), at)
            return leases

        outcomes = sorted(outcomes, key=lambda o: (o.lease.job_id, o.lease.position))
        return await self._database.run(work)

    async def renew(self, owner: str, leases: Sequence[Lease]) -> None:
        """These last anew. Only those that are worked on: what was leased by a transaction whose answer was lost, no
        one works on, and it must run out."""

        def work(connection: Connection) -> None:
            keys = [(lease.job_id, lease.position) for lease in leases]
            these = tuple_(JOB_ITEMS.c.job_id, JOB_ITEMS.c.position).in_(keys)
            mine = these & (JOB_ITEMS.c.state == "leased") & (JOB_ITEMS.c.lease_owner == owner)
            until = now(connection) + self.limits.lease_s
            connection.execute(update(JOB_ITEMS).where(mine).values(lease_until=until))

        await self._database.run(work)

    async def next_due_s(self) -> float | None:
        """Seconds until an item may be leased, at most 0 where one may be now; None where none is pending."""

        def work(connection: Connection) -> float | None:
            soonest = select(func.min(JOB_ITEMS.c.not_before)).where(JOB_ITEMS.c.state == "pending")
            at = connection.execute(soonest).scalar_one()
            return None if at is None else at - now(connection)

        return await self._database.run(work)

    async def sweep(self, spooled: Sequence[str] = ()) -> Swept:
        """Takes back leases that ran out, ends what has ended, forgets what is old, and counts what is left.

        `spooled` are the keys of the files that there are.
        """

        def work(connection: Connection) -> Swept:
            at = now(connection)
            _cancel_returned(connection, at)
            self._take_back(connection, at)
            over = select(JOBS.c.id).where(JOBS.c.state.not_in(JOB_ENDS), ~_holds(UNFINISHED))
            finish_ended(connection, connection.execute(over).scalars().all(), at)
            self._prune(connection, at)
            return _swept(connection, at, spooled)

        return await self._database.run(work)

    def _settle(self, connection: Connection, owner: str, outcome: Outcome, at: float) -> bool:
        lease = outcome.lease
        mine = (
            (JOB_ITEMS.c.job_id == lease.job_id)
            & (JOB_ITEMS.c.position == lease.position)
            & (JOB_ITEMS.c.state == "leased")
            & (JOB_ITEMS.c.lease_owner == owner)
            & (JOB_ITEMS.c.attempts == lease.attempts)
        )
        message = outcome.error_message
        values = {
            "state": outcome.state,
            "not_before": at + outcome.pause_s,
            "updated_at": at,
            "item_id": outcome.item_id,
            "error_code": outcome.error_code,
            "error_message": None if message is None else plain(message),
        }
        done = connection.execute(update(JOB_ITEMS).where(mine).values(lease_owner=None, lease_until=None, **values))
        return done.rowcount == 1

    def _lease(self, connection: Connection, owner: str, want: int, at: float) -> list[Lease]:
        due = (JOB_ITEMS.c.state == "pending") & (JOB_ITEMS.c.not_before <= at)
        columns = [JOB_ITEMS.c[name] for name in ("job_id", "position", "name", "source", "attempts")]
        first = select(*columns).where(due).order_by(JOB_ITEMS.c.position, JOB_ITEMS.c.job_id).limit(want)
        rows = connection.execute(first.with_for_update(skip_locked=True)).all()
        if not rows:
            return []
        taken = tuple_(JOB_ITEMS.c.job_id, JOB_ITEMS.c.position).in_([(row.job_id, row.position) for row in rows])
        lease = {"state": "leased", "lease_owner": owner, "lease_until": at + self.limits.lease_s, "updated_at": at}
        connection.execute(update(JOB_ITEMS).where(taken).values(attempts=JOB_ITEMS.c.attempts + 1, **lease))
        ids = sorted({row.job_id for row in rows})
        begun = JOBS.c.id.in_(ids) & (JOBS.c.state == "queued")
        connection.execute(update(JOBS).where(begun).values(state="running", updated_at=at))
        jobs = connection.execute(select(JOBS.c.id, JOBS.c.options).where(JOBS.c.id.in_(ids)))
        options = {job.id: job.options for job in jobs}
        return [
            Lease(row.job_id, row.position, row.name, row.source, options[row.job_id], row.attempts + 1) for row in rows
        ]

    def _take_back(self, connection: Connection, at: float) -> None:
        """An item whose worker was lost as often as is tried may be what kills workers: it is dead."""
        ran_out = (JOB_ITEMS.c.state == "leased") & (JOB_ITEMS.c.lease_until < at)
        free = {"lease_owner": None, "lease_until": None, "updated_at": at}
        lost = {"error_code": "worker_lost", "error_message": "its worker was lost at each attempt"}
        spent = JOB_ITEMS.c.attempts >= self.limits.attempts
        _update(connection, ran_out & spent, state="dead", **free, **lost)
        _update(connection, ran_out & ~spent, state="pending", not_before=at, **free)

    def _prune(self, connection: Connection, at: float) -> None:
        """Forgets old jobs that no other transaction works on. One that was replayed meanwhile stays: its rows are
        locked, items before jobs, and then looked at once more."""
        old = JOBS.c.state.in_(JOB_ENDS) & (JOBS.c.finished_at < at - self.limits.keep_s) & ~_holds(UNFINISHED)
        some = connection.execute(select(JOBS.c.id, JOBS.c.total).where(old).limit(PRUNED_JOBS)).all()
        locked = [row.id for row in some if _lock_items(connection, row.id) == row.total]
        still_old = select(JOBS.c.id).where(JOBS.c.id.in_(locked), old).with_for_update(skip_locked=True)
        for id in connection.execute(still_old).scalars().all() if locked else ():
            connection.execute(delete(JOB_ITEMS).where(JOB_ITEMS.c.job_id == id))
            connection.execute(delete(JOBS).where(JOBS.c.id == id))


def _update(connection: Connection, where: ColumnElement[bool], **values: object) -> None:
    """Only rows that no other transaction works on: those are seen to by the next sweep."""
    keys = (JOB_ITEMS.c.job_id, JOB_ITEMS.c.position)
    rows = connection.execute(select(*keys).where(where).limit(10_000).with_for_update(skip_locked=True)).all()
    for start in range(0, len(rows), 500):
        part = [tuple(row) for row in rows[start : start + 500]]
        connection.execute(update(JOB_ITEMS).where(tuple_(*keys).in_(part)).values(**values))


def _lock_items(connection: Connection, job_id: str) -> int:
    """How many items of a job no other transaction works on, nor can until this one ends."""
    rows = select(JOB_ITEMS.c.position).where(JOB_ITEMS.c.job_id == job_id).with_for_update(skip_locked=True)
    return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())


def _cancel_returned(connection: Connection, at: float) -> None:
    """Items that went back to be tried again while their job was cancelled."""
    cancelled = select(JOBS.c.id).where(JOBS.c.state == "cancelled")
    returned = (JOB_ITEMS.c.state == "pending") & JOB_ITEMS.c.job_id.in_(cancelled)
    _update(connection, returned, state="cancelled", updated_at=at)


def _holds(states: Sequence[str]) -> ColumnElement[bool]:
    """Whether a job has items in one of these states."""
    return exists().where(JOB_ITEMS.c.job_id == JOBS.c.id, JOB_ITEMS.c.state.in_(states))


def _swept(connection: Connection, at: float, spooled: Sequence[str]) -> Swept:
    counts: dict[str, int] = dict.fromkeys(ITEM_STATES, 0)
    by_state = select(JOB_ITEMS.c.state, func.count()).group_by(JOB_ITEMS.c.state)
    counts |= {str(state): int(count) for state, count in connection.execute(by_state)}
    pending = JOB_ITEMS.c.state == "pending"
    due = connection.execute(select(func.count()).where(pending, JOB_ITEMS.c.not_before <= at)).scalar_one()
    oldest = select(func.min(JOBS.c.created_at)).where(_holds(["pending"]))
    began = connection.execute(oldest).scalar_one()
    known = select(JOBS.c.spool, _holds((*UNFINISHED, *REPLAYABLE))).where(JOBS.c.spool.in_(spooled))
    needed = {str(key): bool(needs) for key, needs in connection.execute(known)}
    return Swept(
        due=due,
        counts=counts,
        oldest_pending_s=0.0 if began is None else max(at - began, 0.0),
        released=frozenset(key for key, needs in needed.items() if not needs),
        unknown=frozenset(spooled) - needed.keys(),
    )
