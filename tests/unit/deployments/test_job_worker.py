"""Jobs from their creation to their end: what is acknowledged, what is tried again, and what is not done twice."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from deployments.database import Database
from deployments.errors import Conflict, NotFound, Overloaded, Unavailable
from deployments.jobs.doorbells import CallDoorbell
from deployments.jobs.intake import Upload
from deployments.jobs.leases import LeaseLimits
from deployments.jobs.sources import SourceReader, fetch_nothing
from deployments.jobs.sweeper import JobSweeper
from deployments.jobs.tables import JOB_ITEMS, JOBS, Lease, Outcome, Swept
from deployments.jobs.worker import JobWorker, WorkLimits
from deployments.schemas.items import Item
from deployments.schemas.jobs import JobOptions, JobRequest
from deployments.stages import Stages
from tests.unit.deployments.job_stack import JobStack, picture, until

FILES_OF_BOTH_KINDS = {"note.txt": b"a note", "red.png": picture(1)}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[JobStack]:
    one = JobStack(tmp_path)
    yield one
    await one.close()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., JobStack]]:
    stacks: list[JobStack] = []

    def make(**parts: Any) -> JobStack:
        stacks.append(JobStack(tmp_path, **parts))
        return stacks[-1]

    yield make
    for one in stacks:
        await one.close()


async def test_a_job_goes_from_queued_to_done(stack: JobStack) -> None:
    items = [{"text": "a boat", "tags": ["own"]}, {"image": picture(1), "text": "red", "id": "my-red"}]
    job = await stack.create(items=items, tags=["all"], metadata={"year": 2024})
    assert (job.state, job.total, job.counts["pending"]) == ("queued", 2, 2)
    assert stack.doorbell.rings == [2]
    assert len(stack.spooled()) == 1
    await stack.work()
    job = await stack.get(job.id)
    assert (job.state, job.counts["done"], job.eta_s) == ("done", 2, None)
    assert job.finished_at is not None
    stored = await stack.items.get("my-red")
    assert (stored.payload.tags, stored.payload.metadata) == (("all",), {"year": 2024})
    listed = await stack.service.items(job.id, "done", -1, 10)
    assert [item.item_id for item in listed][1] == "my-red"
    text = (await stack.items.get(str(listed[0].item_id))).payload
    assert (text.text, text.tags) == ("a boat", ("all", "own"))
    await stack.sweeper().sweep()
    assert stack.spooled() == []


async def test_an_item_at_fault_fails_alone_and_at_once(stack: JobStack) -> None:
    items = [{"text": "fine"}, {"image": b"no image", "source": "bad.png"}, {"text": "poison"}]
    job = await stack.create(items=items)
    await stack.work()
    assert (await stack.get(job.id)).counts["failed"] == 2
    assert (await stack.get(job.id)).state == "done"
    assert await stack.errors(job.id) == {"bad.png": "image_unsupported", "items[2]": "refused"}
    assert {item.attempts for item in await stack.service.items(job.id, None, -1, 10)} == {1}


async def test_an_image_whose_source_is_called_a_text(stack: JobStack) -> None:
    items = [{"image": picture(1), "source": "scan.txt"}, {"image": picture(2), "source": "b.TXT", "text": "its own"}]
    job = await stack.create(items=items)
    await stack.work()
    assert await stack.errors(job.id) == {}
    ids = [str(item.item_id) for item in await stack.service.items(job.id, "done", -1, 5)]
    stored = [(await stack.items.get(id)).payload for id in ids]
    assert [(one.source, one.text, one.mime) for one in stored] == [
        ("scan.txt", None, "image/png"),
        ("b.TXT", "its own", "image/png"),
    ]


async def test_a_text_whose_name_is_cut_off_in_its_row(stack: JobStack) -> None:
    files = [Upload(f"{'deep/' * 110}{name}", io.BytesIO(data)) for name, data in FILES_OF_BOTH_KINDS.items()]
    job, _ = await stack.service.create_from_uploads(JobOptions(), files, None)
    await stack.work()
    assert await stack.errors(job.id) == {}
    ids = [str(item.item_id) for item in await stack.service.items(job.id, "done", -1, 5)]
    assert [(await stack.items.get(id)).payload.kind for id in ids] == ["text", "image"]


async def test_rows_of_before_their_place_said_what_a_file_is(stack: JobStack) -> None:
    files = [Upload(name, io.BytesIO(data)) for name, data in FILES_OF_BOTH_KINDS.items()]
    job, _ = await stack.service.create_from_uploads(JobOptions(), files, None)

    def make_old(connection: Connection) -> None:
        rows = connection.execute(select(JOB_ITEMS.c.position, JOB_ITEMS.c.source)).all()
        for position, source in rows:
            assert source["from"].pop("as") == ("text", "image")[position]
            connection.execute(update(JOB_ITEMS).where(JOB_ITEMS.c.position == position).values(source=source))

    database = Database(stack.options.database_url)
    database.transact(make_old)
    database.close()
    await stack.work()
    assert (await stack.get(job.id)).counts["done"] == 2


async def test_a_job_without_one_good_item_is_failed(stack: JobStack) -> None:
    job = await stack.create(items=[{"text": "poison"}])
    await stack.work()
    assert (await stack.get(job.id)).state == "failed"


class Failing:
    """Stores after so many failures."""

    def __init__(self, stack: JobStack, failures: int, error: Exception) -> None:
        self._stack, self._left, self._error = stack, failures, error
        self.calls = 0

    async def __call__(self, item: Item) -> str:
        self.calls += 1
        if self.calls <= self._left:
            raise self._error
        return (await self._stack.items.add(item, Stages())).record.id


def failing_worker(stack: JobStack, add: Failing) -> JobWorker:
    reader = SourceReader(stack.jobs.spool, stack.jobs._folders, fetch_nothing, 1 << 20)
    return JobWorker(stack.jobs.table, reader, add, stack.options.work)


@pytest.mark.parametrize("error", [Overloaded("full"), Unavailable("gone"), TimeoutError(), RuntimeError("a bug")])
async def test_what_may_pass_is_tried_again(stack: JobStack, error: Exception) -> None:
    job = await stack.create(items=[{"text": "a boat"}])
    worker = failing_worker(stack, Failing(stack, 2, error))
    while await worker.work(5) is not None:
        pass
    (item,) = await stack.service.items(job.id, None, -1, 10)
    assert (item.state, item.attempts, item.error_code) == ("done", 3, None)


async def test_dead_letters_are_listed_and_replayed(start: Callable[..., JobStack]) -> None:
    stack = start(leases=LeaseLimits(attempts=3))
    job = await stack.create(items=[{"image": picture(1)}, {"text": "poison"}])
    add = Failing(stack, 99, Overloaded("the encoder is busy"))
    worker = failing_worker(stack, add)
    while await worker.work(5) is not None:
        pass
    dead = await stack.service.items(job.id, "dead", -1, 10)
    assert [(d.attempts, d.error_code, d.error_message) for d in dead] == [(3, "overloaded", "the encoder is busy")] * 2
    assert (await stack.get(job.id)).state == "failed"
    await stack.sweeper().sweep()
    assert len(stack.spooled()) == 1, "a dead letter needs its upload"
    replayed = await stack.service.replay(job.id)
    assert (replayed.state, replayed.counts["pending"], replayed.finished_at) == ("queued", 2, None)
    assert stack.doorbell.rings[-1] == 2
    await stack.work()
    job = await stack.get(job.id)
    assert (job.state, job.counts["done"], job.counts["failed"]) == ("done", 1, 1)


async def test_pauses_grow_and_end() -> None:
    limits = WorkLimits(first_pause_s=1, longest_pause_s=60)
    for attempt, longest in ((1, 1), (2, 2), (5, 16), (20, 60)):
        pauses = [limits.pause_s(attempt) for _ in range(50)]
        assert longest / 2 <= min(pauses) < max(pauses) <= longest


async def test_cancel_is_a_row(stack: JobStack) -> None:
    job = await stack.create(items=[{"text": f"text {n}"} for n in range(20)])
    leases = await stack.jobs.table.exchange("another", [], 1)
    cancelled = await stack.service.cancel(job.id)
    assert (cancelled.state, cancelled.counts["cancelled"], cancelled.counts["leased"]) == ("cancelled", 19, 1)
    await stack.work()
    assert (await stack.get(job.id)).counts["done"] == 0
    await stack.jobs.table.exchange("another", [Outcome(leases[0], "done", "x")], 0)
    job = await stack.get(job.id)
    assert (job.state, job.counts["done"], job.counts["cancelled"]) == ("cancelled", 1, 19)
    assert (await stack.service.cancel(job.id)).state == "cancelled"
    await stack.service.replay(job.id)
    await stack.work()
    assert (await stack.get(job.id)).state == "done"


async def test_an_item_that_returns_to_a_cancelled_job_is_cancelled(stack: JobStack) -> None:
    job = await stack.create(items=[{"text": "a"}])
    (lease,) = await stack.jobs.table.exchange("another", [], 1)
    await stack.service.cancel(job.id)
    await stack.jobs.table.exchange("another", [Outcome(lease, "pending")], 0)
    swept = await stack.sweeper().sweep()
    assert (swept.counts["cancelled"], swept.due) == (1, 0)


async def test_a_worker_that_lost_its_lease_changes_nothing(start: Callable[..., JobStack]) -> None:
    stack = start(leases=LeaseLimits(lease_s=0.0))
    job = await stack.create(items=[{"text": "a boat"}])
    table = stack.jobs.table
    (old,) = await table.exchange("slow", [], 5)
    assert (await table.sweep()).counts["pending"] == 1
    (new,) = await table.exchange("quick", [], 5)
    assert (new.position, new.attempts) == (old.position, 2)
    await table.exchange("slow", [Outcome(old, "failed", error_code="late")], 0)
    assert (await stack.get(job.id)).counts["leased"] == 1
    await table.exchange("quick", [Outcome(new, "done", "an-id")], 0)
    await table.exchange("slow", [Outcome(old, "failed", error_code="late")], 0)
    (item,) = await stack.service.items(job.id, None, -1, 5)
    assert (item.state, item.item_id, item.error_code) == ("done", "an-id", None)
    # The same worker once more, by a number of another attempt.
    (job2,) = [await stack.create(items=[{"text": "b"}])]
    (first,) = await table.exchange("one", [], 5)
    await table.sweep()
    (second,) = await table.exchange("one", [], 5)
    await table.exchange("one", [Outcome(first, "failed")], 0)
    assert (await stack.get(job2.id)).counts["leased"] == 1
    await table.exchange("one", [Outcome(second, "done")], 0)
    assert (await stack.get(job2.id)).state == "done"


async def test_an_item_that_kills_its_workers_ends_as_a_dead_letter(start: Callable[..., JobStack]) -> None:
    stack = start(leases=LeaseLimits(lease_s=0.0, attempts=2))
    job = await stack.create(items=[{"text": "a boat"}])
    for _ in range(2):
        assert len(await stack.jobs.table.exchange("killed", [], 5)) == 1
        await stack.jobs.table.sweep()
    assert await stack.errors(job.id) == {"items[0]": "worker_lost"}
    assert (await stack.get(job.id)).state == "failed"


async def test_leases_are_renewed_while_their_items_take_long(start: Callable[..., JobStack]) -> None:
    stack = start(leases=LeaseLimits(lease_s=0.8))
    job = await stack.create(items=[{"text": "slow"}])
    entered, go = asyncio.Event(), asyncio.Event()

    async def add(item: Item) -> str:
        entered.set()
        await go.wait()
        return "slow"

    worker = failing_worker(stack, add)  # type: ignore[arg-type]
    working = asyncio.create_task(worker.work(5))
    await entered.wait()
    for _ in range(8):
        await asyncio.sleep(0.2)
        assert (await stack.jobs.table.sweep()).counts["leased"] == 1
    go.set()
    await working
    (item,) = await stack.service.items(job.id, None, -1, 5)
    assert (item.state, item.attempts) == ("done", 1)


async def test_a_stopped_worker_gives_back_what_it_has(stack: JobStack) -> None:
    await stack.create(items=[{"text": "slow"}])
    entered = asyncio.Event()

    async def add(item: Item) -> str:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    working = asyncio.create_task(failing_worker(stack, add).work(5))  # type: ignore[arg-type]
    await entered.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert len(await stack.jobs.table.exchange("another", [], 5)) == 1


async def test_two_workers_never_have_the_same_item(stack: JobStack) -> None:
    await stack.create(items=[{"text": f"text {n}"} for n in range(60)])
    taken: list[Lease] = []

    async def take(owner: str) -> None:
        while leases := await stack.jobs.table.exchange(owner, [], 7):
            taken.extend(leases)

    await asyncio.gather(*(take(f"worker {n}") for n in range(4)))
    assert sorted(lease.position for lease in taken) == list(range(60))


async def test_a_small_job_does_not_wait_behind_a_large_one(stack: JobStack) -> None:
    await stack.create(id="large", items=[{"text": f"text {n}"} for n in range(50)])
    await stack.create(id="small", items=[{"text": "now"}])
    leases = await stack.jobs.table.exchange("one", [], 4)
    assert {lease.job_id for lease in leases} == {"large", "small"}


async def test_a_request_sent_again_makes_no_second_job(stack: JobStack) -> None:
    body = {"id": "mine", "items": [{"image": picture(1)}, {"text": "x"}]}
    await stack.create(**body)
    again, created = await stack.service.create(JobRequest(**body))
    assert (again.id, created) == ("mine", False)
    assert len(stack.spooled()) == 1
    with pytest.raises(Conflict) as refused:
        await stack.create(id="mine", items=[{"image": picture(2)}, {"text": "x"}])
    assert refused.value.code == "job_exists"
    await stack.work()
    assert (await stack.get("mine")).counts["done"] == 2


async def test_rings_may_come_twice_or_not_at_all(stack: JobStack) -> None:
    job = await stack.create(items=[{"image": picture(n)} for n in range(30)])
    workers = [stack.worker() for _ in range(3)]
    turns = iter(range(10**6))
    doorbell = CallDoorbell(lambda: workers[next(turns) % 3].work(5), max_workers=3, worker_items=1)
    for _ in range(5):
        doorbell.ring(30)
    await until(lambda: stack.states.count("done") == 30)
    await doorbell.close()
    assert (await stack.get(job.id)).counts["done"] == 30
    assert await stack.memory.count() == 30
    # Nobody rings: CountingDoorbell wakes no one, and the sweeper tells of what is due.
    silent = await stack.create(items=[{"text": "unheard"}])
    swept = await stack.sweeper().sweep()
    assert swept.due == 1
    await stack.work()
    assert (await stack.get(silent.id)).state == "done"


async def test_a_turn_ends_and_says_what_is_left(stack: JobStack) -> None:
    await stack.create(items=[{"text": f"text {n}"} for n in range(3)])
    left_s = await stack.worker().work(0)
    assert left_s is not None
    assert left_s <= 0
    await stack.work()
    assert await stack.worker().work(5) is None


async def test_the_same_content_in_many_jobs_is_one_item(stack: JobStack) -> None:
    for _ in range(3):
        await stack.create(items=[{"image": picture(7)}, {"image": picture(7)}])
    await stack.work()
    assert await stack.memory.count() == 1


async def test_jobs_outlive_their_process(tmp_path: Path) -> None:
    first = JobStack(tmp_path)
    job = await first.create(items=[{"image": picture(n)} for n in range(5)])
    await first.close()
    second = JobStack(tmp_path)
    assert (await second.sweeper().sweep()).due == 5
    await second.work()
    assert (await second.get(job.id)).state == "done"
    await second.close()


async def test_old_jobs_are_forgotten_with_their_files(start: Callable[..., JobStack]) -> None:
    stack = start(leases=LeaseLimits(keep_s=100))
    kept = await stack.create(items=[{"text": "new"}])
    job = await stack.create(items=[{"image": picture(1)}])
    await stack.service.cancel(job.id)
    await stack.sweeper().sweep()
    assert len(stack.spooled()) == 1
    database = Database(stack.options.database_url)
    database.transact(lambda c: c.execute(update(JOBS).where(JOBS.c.id == job.id).values(finished_at=1.0)))
    await stack.sweeper().sweep()
    with pytest.raises(NotFound):
        await stack.get(job.id)
    assert database.transact(lambda c: c.execute(select(JOB_ITEMS.c.job_id)).scalars().all()) == [kept.id]
    database.close()


async def test_a_file_without_a_job_is_removed_when_it_is_old(stack: JobStack) -> None:
    with stack.jobs.spool.writing() as writer:
        writer.append(b"lost")
    await stack.sweeper().sweep()
    assert stack.spooled() == [writer.key]
    os.utime(stack.folder / "spool" / writer.key, (1, 1))
    await stack.sweeper().sweep()
    assert stack.spooled() == []


async def test_what_lies_in_the_spool_keeps_nobody_waiting(stack: JobStack) -> None:
    """A folder that a disk brings along, a note of the administrator, and a name like a key that cannot be unlinked."""
    with stack.jobs.spool.writing() as writer:
        writer.append(b"lost")
    stuck = "0" * 32
    for name in ("lost+found", stuck):
        (stack.folder / "spool" / name).mkdir()
    (stack.folder / "spool" / "README").write_text("hands off", encoding="utf-8")
    for path in (stack.folder / "spool").iterdir():
        os.utime(path, (1, 1))
    await stack.create(items=[{"text": "a"}])
    stack.doorbell.rings.clear()
    told: list[Swept] = []
    await JobSweeper(stack.jobs.table, stack.jobs.spool, stack.doorbell, on_sweep=told.append).sweep()
    assert (stack.doorbell.rings, [one.due for one in told]) == ([1], [1])
    assert sorted(path.name for path in (stack.folder / "spool").iterdir()) == [stuck, "README", "lost+found"]
    assert stack.spooled() == [stuck]


async def test_the_sweeper_outlives_a_database_that_is_away(stack: JobStack) -> None:
    await stack.create(items=[{"text": "a"}])
    blocked = stack.folder / "state.sqlite3"
    hidden = blocked.rename(stack.folder / "away")
    blocked.mkdir()
    stack.jobs.close()
    sweeping = asyncio.create_task(stack.sweeper().run())
    await asyncio.sleep(0.1)
    assert not sweeping.done()
    blocked.rmdir()
    hidden.rename(blocked)
    await until(lambda: stack.doorbell.rings[-1:] == [1] and len(stack.doorbell.rings) > 1)
    sweeping.cancel()
    await asyncio.wait([sweeping])
