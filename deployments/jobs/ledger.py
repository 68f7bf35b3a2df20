"""Jobs as their owners see them: create, look at, cancel, replay. Each call is one short transaction.

All transactions here and in `leases` touch items before jobs, so that none waits for another in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from deployments.errors import Conflict, NotFound
from deployments.jobs.database import JobDatabase, now
from deployments.jobs.tables import (
    ITEM_STATES,
    JOB_ENDS,
    JOB_ITEMS,
    JOBS,
    REPLAYABLE,
    UNFINISHED,
    ItemState,
    Job,
    JobItem,
    NewJobItem,
)

INSERT_ROWS = 1000
RATE_WINDOW_S = 60.0
MAX_MESSAGE_CHARS = 500


class JobLedger:
    """The tables of jobs for the API. Raises Unavailable and StorageFull, as Database does."""

    def __init__(self, database: JobDatabase) -> None:
        self._database = database

    async def create(
        self, id: str, digest: str, options: dict[str, Any], items: Sequence[NewJobItem], spool: str | None = None
    ) -> bool:
        """Writes a job and its items: on disk when it returns. False where the very same job is there already.
        `spool` is the key of the file that has its uploads.

        Raises Conflict where another one has that id.
        """

        def work(connection: Connection) -> bool:
            known = connection.execute(select(JOBS.c.digest).where(JOBS.c.id == id)).scalar_one_or_none()
            if known is not None:
                if known != digest:
                    raise Conflict(f"there is another job {id!r}", "id", "job_exists")
                return False
            at = now(connection)
            row = {"id": id, "state": "queued", "digest": digest, "options": options, "total": len(items)}
            connection.execute(insert(JOBS).values(**row, spool=spool, created_at=at, updated_at=at))
            for rows in _rows(id, items, at):
                connection.execute(insert(JOB_ITEMS), rows)
            finish_ended(connection, [id], at)
            return True

        return await self._database.run(work)

    async def require_answer(self) -> None:
        """Raises Unavailable where the database does not answer."""
        await self._database.run(lambda connection: None)

    async def get(self, id: str) -> Job:
        """Raises NotFound."""
        return (await self._database.run(lambda c: _jobs(c, [_required(c, id)])))[0]

    async def page(self, before: str | None, limit: int) -> list[Job]:
        """Up to `limit` jobs, the latest first, behind the job `before`. Raises NotFound."""

        def work(connection: Connection) -> list[Job]:
            query = select(JOBS).order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc()).limit(limit)
            if before is not None:
                last = _required(connection, before)
                earlier = JOBS.c.created_at < last.created_at
                query = query.where(earlier | ((JOBS.c.created_at == last.created_at) & (JOBS.c.id < before)))
            return _jobs(connection, connection.execute(query).all())

        return await self._database.run(work)

    async def items(self, id: str, state: ItemState | None, after: int, limit: int) -> list[JobItem]:
        """Up to `limit` items behind the position `after`, by position; of one state or of all. Raises NotFound."""

        def work(connection: Connection) -> list[JobItem]:
            _required(connection, id)
            columns = [JOB_ITEMS.c[name] for name in JobItem.__dataclass_fields__]
            query = select(*columns).where(JOB_ITEMS.c.job_id == id, JOB_ITEMS.c.position > after)
            if state is not None:
                query = query.where(JOB_ITEMS.c.state == state)
            rows = connection.execute(query.order_by(JOB_ITEMS.c.position).limit(limit))
            return [JobItem(*row) for row in rows]

        return await self._database.run(work)

    async def cancel(self, id: str) -> Job:
        """Items that nobody works on are cancelled; the others end. What has ended stays so. Raises NotFound."""

        def work(connection: Connection) -> Job:
            at = now(connection)
            if _required(connection, id).state not in JOB_ENDS:
                waiting = (JOB_ITEMS.c.job_id == id) & (JOB_ITEMS.c.state == "pending")
                connection.execute(update(JOB_ITEMS).where(waiting).values(state="cancelled", updated_at=at))
                ended = {"state": "cancelled", "updated_at": at, "finished_at": at}
                connection.execute(update(JOBS).where(JOBS.c.id == id, JOBS.c.state.not_in(JOB_ENDS)).values(**ended))
            return _jobs(connection, [_required(connection, id)])[0]

        return await self._database.run(work)

    async def replay(self, id: str) -> Job:
        """Dead and cancelled items are to be done anew, with all their attempts before them. Raises NotFound."""

        def work(connection: Connection) -> Job:
            _required(connection, id)
            at = now(connection)
            ended = (JOB_ITEMS.c.job_id == id) & JOB_ITEMS.c.state.in_(REPLAYABLE)
            anew = {"state": "pending", "attempts": 0, "not_before": 0.0, "updated_at": at}
            anew |= {"error_code": None, "error_message": None}
            if connection.execute(update(JOB_ITEMS).where(ended).values(**anew)).rowcount:
                again = {"state": "queued", "updated_at": at, "finished_at": None}
                connection.execute(update(JOBS).where(JOBS.c.id == id).values(**again))
            return _jobs(connection, [_required(connection, id)])[0]

        return await self._database.run(work)


def finish_ended(connection: Connection, ids: Sequence[str], at: float) -> None:
    """Of these jobs, those end that have no unfinished item left. Two workers that settle a job's last two items at
    once wait for each other at its row."""
    open_jobs = select(JOBS.c.id).where(JOBS.c.id.in_(ids), JOBS.c.state.not_in(JOB_ENDS)).order_by(JOBS.c.id)
    for id in connection.execute(open_jobs.with_for_update()).scalars().all():
        counts = _counts(connection, [id])[id]
        if all(counts[state] == 0 for state in UNFINISHED):
            state = "done" if counts["done"] else "failed"
            ended = {"state": state, "updated_at": at, "finished_at": at}
            connection.execute(update(JOBS).where(JOBS.c.id == id).values(**ended))


def plain(text: str, most: int = MAX_MESSAGE_CHARS) -> str:
    """What every database holds: no NUL, no lone surrogate, not too long."""
    return text[:most].encode("utf-8", "replace").decode().replace("\0", "")


def _rows(id: str, items: Sequence[NewJobItem], at: float) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(items), INSERT_ROWS):
        yield [
            {
                "job_id": id,
                "position": start + offset,
                "name": plain(item.name),
                "source": item.source,
                "state": "pending" if item.error_code is None else "failed",
                "attempts": 0,
                "not_before": 0.0,
                "updated_at": at,
                "error_code": item.error_code,
                "error_message": None if item.error_message is None else plain(item.error_message),
            }
            for offset, item in enumerate(items[start : start + INSERT_ROWS])
        ]


def _required(connection: Connection, id: str) -> Row[Any]:
    row = connection.execute(select(JOBS).where(JOBS.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {id!r}", "id")
    return row


def _jobs(connection: Connection, rows: Sequence[Row[Any]]) -> list[Job]:
    ids = [row.id for row in rows]
    counts = _counts(connection, ids)
    at = now(connection)
    lately = _ended_since(connection, ids, at - RATE_WINDOW_S)
    return [
        Job(
            id=row.id,
            state=row.state,
            total=row.total,
            options=row.options,
            created_at=row.created_at,
            updated_at=row.updated_at,
            finished_at=row.finished_at,
            counts=counts[row.id],
            rate=lately.get(row.id, 0) / max(min(RATE_WINDOW_S, at - row.created_at), 1.0),
        )
        for row in rows
    ]


def _counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    columns = (JOB_ITEMS.c.job_id, JOB_ITEMS.c.state)
    query = select(*columns, func.count()).where(JOB_ITEMS.c.job_id.in_(ids)).group_by(*columns)
    counts: dict[str, dict[str, int]] = {id: dict.fromkeys(ITEM_STATES, 0) for id in ids}
    for id, state, count in connection.execute(query):
        counts[id][state] = count
    return counts


def _ended_since(connection: Connection, ids: Sequence[str], since: float) -> dict[str, int]:
    ended = JOB_ITEMS.c.state.not_in((*UNFINISHED, "cancelled")) & (JOB_ITEMS.c.updated_at >= since)
    query = select(JOB_ITEMS.c.job_id, func.count().label("ended")).where(JOB_ITEMS.c.job_id.in_(ids), ended)
    return {row.job_id: row.ended for row in connection.execute(query.group_by(JOB_ITEMS.c.job_id))}
