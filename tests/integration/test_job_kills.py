"""SIGKILL of the job worker, the broker and the database while jobs are made and worked on; `make chaos` does more of
it. And the table of jobs on a real PostgreSQL, where several transactions run at once."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text, update

from deployments.database import Database
from deployments.errors import NotFound, Unavailable
from deployments.jobs.doorbells import BrokerDoorbell
from deployments.jobs.leases import LeaseLimits
from deployments.jobs.tables import JOB_ITEMS, JOBS, Lease, Outcome
from loadtests.chaos_jobs import run
from loadtests.postgres_server import PostgresServer, missing_for_postgres
from loadtests.redis_server import missing_for_redis
from tests.requirements import lacks
from tests.unit.deployments.job_stack import CountingDoorbell, JobStack, picture, until

ROUNDS = 3


def require(reason: str | None) -> None:
    if reason:
        lacks(reason)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, on being imported
@pytest.mark.parametrize("target", ["worker", "redis", "postgres"])
def test_nothing_acknowledged_is_lost_or_doubled(target: str, tmp_path: Path) -> None:
    require({"redis": missing_for_redis(), "postgres": missing_for_postgres()}.get(target))
    results, faults = run(target, ROUNDS, tmp_path)
    assert faults == []
    assert sum(one.acknowledged_items for one in results) >= 4 * ROUNDS


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    require(missing_for_postgres())
    with PostgresServer() as server:
        yield server


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """The server, without the tables of an earlier test."""
    database = Database(postgres.url)
    database.transact(lambda c: c.execute(text("DROP TABLE IF EXISTS job_items, jobs")))
    database.close()
    return postgres.url


async def test_a_job_on_postgresql(url: str, tmp_path: Path) -> None:
    stack = JobStack(tmp_path, url=url)
    job = await stack.create(items=[{"text": "a", "source": "odd\0name"}, {"image": picture(1), "text": "poison"}])
    await stack.create(items=[{"text": "later"}])
    await stack.work()
    done = await stack.get(job.id)
    assert done.finished_at is not None
    assert (done.total, done.counts["pending"], done.counts["leased"]) == (2, 0, 0)
    assert await stack.errors(job.id) != {}
    assert [one.state for one in await stack.service.page(None, 10)] != []
    await stack.sweeper().sweep()
    assert stack.spooled() == []
    await stack.close()


async def test_many_workers_and_a_cancel_at_once(url: str, tmp_path: Path) -> None:
    stacks = [JobStack(tmp_path, url=url) for _ in range(4)]
    first = stacks[0]
    jobs = [await first.create(items=[{"text": f"{n} {i}"} for i in range(40)]) for n in range(3)]
    taken: list[Lease] = []

    async def take(stack: JobStack, owner: str) -> None:
        while leases := await stack.jobs.table.exchange(owner, [], 3):
            taken.extend(leases)
            await stack.jobs.table.exchange(owner, [Outcome(lease, "done", "x") for lease in leases], 0)

    workers = [take(stack, str(number)) for number, stack in enumerate(stacks)]
    await asyncio.gather(*workers, first.service.cancel(jobs[2].id), *(stack.sweeper().sweep() for stack in stacks))
    await first.sweeper().sweep()
    keys = [(lease.job_id, lease.position) for lease in taken]
    assert len(keys) == len(set(keys))
    states = [(await first.get(job.id)).state for job in jobs]
    assert states[:2] == ["done", "done"]
    assert states[2] in ("cancelled", "done")
    for stack in stacks:
        await stack.close()


async def test_a_lost_lease_on_postgresql(url: str, tmp_path: Path) -> None:
    stack = JobStack(tmp_path, url=url, leases=LeaseLimits(lease_s=0.0))
    job = await stack.create(items=[{"text": "a"}])
    (old,) = await stack.jobs.table.exchange("slow", [], 1)
    await stack.jobs.table.sweep()
    (new,) = await stack.jobs.table.exchange("quick", [], 1)
    await stack.jobs.table.exchange("slow", [Outcome(old, "failed")], 0)
    await stack.jobs.table.exchange("quick", [Outcome(new, "done", "x")], 0)
    assert (await stack.get(job.id)).counts["done"] == 1
    await stack.close()


async def test_a_job_that_is_replayed_while_it_is_forgotten(url: str, tmp_path: Path) -> None:
    stack = JobStack(tmp_path, url=url, leases=LeaseLimits(keep_s=-3600.0))
    job, other = [await stack.create(items=[{"text": "a"}, {"text": "b"}]) for _ in range(2)]
    for one in (job, other):
        await stack.service.cancel(one.id)
    items = update(JOB_ITEMS).where(JOB_ITEMS.c.job_id == job.id).values(state="pending")
    engine = create_engine(url)
    # As `replay` does it, not yet committed while the sweeper looks for what is old.
    with engine.begin() as replaying:
        replaying.execute(items)
        sweeping = asyncio.create_task(stack.jobs.table.sweep())
        await asyncio.wait([sweeping], timeout=0.5)
        replaying.execute(update(JOBS).where(JOBS.c.id == job.id).values(state="queued", finished_at=None))
    engine.dispose()
    await sweeping
    assert (await stack.get(job.id)).counts["pending"] == 2
    with pytest.raises(NotFound):
        await stack.get(other.id)
    await stack.close()


def test_a_server_that_falls_silent_is_noticed(url: str) -> None:
    """The options that bound the wait have arrived: at the server, and at the socket."""
    database = Database(f"{url}?options=-c%20work_mem%3D5MB&keepalives_idle=7")

    def ask(connection: Connection) -> tuple[list[str], list[int]]:
        names = ("statement_timeout", "lock_timeout", "work_mem")
        said = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
        raw = connection.connection.driver_connection
        assert raw is not None
        with socket.socket(fileno=os.dup(raw.fileno())) as link:
            options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            kept = [link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
            return said, kept + [link.getsockopt(socket.IPPROTO_TCP, option) for option in options]

    assert database.transact(ask) == (["1min", "10s", "5MB"], [1, 10_000, 7, 2, 3])
    database.close()


async def test_a_row_that_another_holds_too_long(url: str, tmp_path: Path) -> None:
    stack = JobStack(tmp_path, url=f"{url}?options=-c%20lock_timeout%3D100")
    job = await stack.create(items=[{"text": "a"}])
    engine = create_engine(url)
    with engine.begin() as holder:
        holder.execute(update(JOB_ITEMS).values(attempts=0))
        with pytest.raises(Unavailable, match="lock timeout"):
            await stack.service.cancel(job.id)
    engine.dispose()
    assert (await stack.service.cancel(job.id)).state == "cancelled"
    await stack.close()


async def test_a_broker_that_does_not_answer_or_that_nobody_hears() -> None:
    calls = CountingDoorbell()
    sent: list[int] = []

    def away(count: int) -> None:
        raise ConnectionError("no broker")

    broken = BrokerDoorbell(away, calls, max_workers=4, worker_items=10)
    broken.ring(25)
    await until(lambda: calls.rings == [25])
    unheard = BrokerDoorbell(sent.append, calls, max_workers=4, worker_items=10)
    for due in (25, 5, 0, 90):
        unheard.ring(due)
        await until(lambda: unheard._sending is None or unheard._sending.done())
    assert (sent, calls.rings) == ([3, 1, 4], [25])
    unheard.ring(90)
    assert calls.rings == [25, 90], "nothing got less"
    await unheard.close()
