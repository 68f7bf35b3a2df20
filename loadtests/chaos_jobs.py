"""SIGKILL the job worker, the broker (Redis) or the database (PostgreSQL) under load, and count what was lost.

    python -m loadtests.chaos_jobs --target worker|redis|postgres [--rounds 20] [--output FILE]

Clients create jobs of texts and images all the time, each under an id of its own, and send a request again until it is
acknowledged. A worker process stores the items in an embedded index. In each round the target is killed at a random
moment and started again; the round ends when every job that was acknowledged by then has ended. Afterwards the table
and the index must agree: every item of every acknowledged job is done and stored, under the id of its content, and
nothing else is. Exits 1 where one is lost or doubled, or where a job's state is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from deployments.content import content_id
from deployments.errors import Unavailable
from deployments.jobs.doorbells import BrokerDoorbell, JobDoorbell
from deployments.jobs.options import Jobs
from deployments.jobs.service import JobService
from deployments.jobs.sweeper import JobSweeper
from deployments.schemas.jobs import JobRequest
from encoders.fake import FakeEncoder
from loadtests.job_process import CONTRACT, options
from loadtests.postgres_server import PostgresServer
from loadtests.redis_server import RedisServer
from loadtests.report import ROOT, circumstances, write_report
from retrieval.open import open_index

CLIENTS = 3
JOB_ITEMS = 4
PAUSE_S = 0.2
"""Between a client's jobs: so many as a slow disk keeps up with."""
SWEEP_S = 0.5
SETTLE_S = 60.0
"""How long the acknowledged jobs of a round may take to end after the kill."""


@dataclass(frozen=True)
class Round:
    acknowledged_items: int
    killed_after_s: float
    settled_s: float
    """From the kill until every job acknowledged in the round had ended."""


class NoDoorbell:
    """Wakes nobody: the worker asks by itself, or waits for the broker."""

    def ring(self, due: int) -> None: ...

    async def close(self) -> None: ...


class Worker:
    """The process that works on jobs."""

    def __init__(self, folder: Path, database_url: str, broker_url: str | None) -> None:
        broker = [] if broker_url is None else ["--broker-url", broker_url]
        self._command = [sys.executable, "-m", "loadtests.job_process", str(folder), database_url, *broker]
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=ROOT
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the worker did not start: {self._log.read_text(errors='replace')[-2000:]}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


class Load:
    """Clients that create jobs. `acknowledged` has the ids of their items' contents, by job."""

    def __init__(self, service: JobService, mark: str) -> None:
        self._service = service
        self._mark = mark
        self._stopping = False
        self.acknowledged: dict[str, list[str]] = {}
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]

    async def stop(self) -> None:
        """What is under way is still acknowledged."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        count = 0
        while not self._stopping:
            id, count = f"{self._mark}-{number}-{count}", count + 1
            items = [_item(id, n) for n in range(JOB_ITEMS)]
            while True:
                try:
                    await self._service.create(JobRequest.model_validate({"id": id, "items": items}))
                    break
                except Unavailable:
                    await asyncio.sleep(0.1)
            self.acknowledged[id] = [content_id(item.get("image"), item.get("text")) for item in items]
            await asyncio.sleep(PAUSE_S)


def _item(job: str, number: int) -> dict[str, Any]:
    """Every second one an image, all different."""
    text = f"item {number} of {job}"
    if number % 2:
        return {"text": text}
    seed = random.Random(text)
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (seed.randrange(256), seed.randrange(256), seed.randrange(256))).save(out, "PNG")
    return {"image": out.getvalue(), "text": text}


class Chaos:
    """One target, its servers, and the rounds."""

    def __init__(self, target: str, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._servers: dict[str, PostgresServer | RedisServer | Worker] = {}
        self.expected: dict[str, list[str]] = {}

    @contextlib.contextmanager
    def servers(self) -> Iterator[str]:
        """What the target needs; yields the database's URL. The worker ends with the block."""
        with contextlib.ExitStack() as stack:
            url = f"sqlite:///{self._folder}/state.sqlite3"
            broker_url = None
            if self._target == "postgres":
                postgres = stack.enter_context(PostgresServer())
                self._servers["postgres"], url = postgres, postgres.url
            if self._target == "redis":
                redis = stack.enter_context(RedisServer(self._folder))
                self._servers["redis"], broker_url = redis, redis.url
            worker = Worker(self._folder, url, broker_url)
            self._servers["worker"] = worker
            stack.callback(worker.kill)
            worker.start()
            yield url

    async def run(self, rounds: int, jobs: Jobs, seed: int = 0) -> tuple[list[Round], list[str]]:
        """The rounds, and what is wrong afterwards."""
        doorbell = self._doorbell()
        service = jobs.service(doorbell)
        sweeping = asyncio.create_task(JobSweeper(jobs.table, jobs.spool, doorbell, interval_s=SWEEP_S).run())
        moments = random.Random(seed)
        results = [await self._round(number, service, moments) for number in range(rounds)]
        faults = await self._faults(service)
        await asyncio.sleep(2 * SWEEP_S)
        keys = jobs.spool.keys()
        # A request that failed half-way may leave its uploads, which no job names: those are removed when they are old.
        left = frozenset(keys) - (await jobs.table.sweep(keys)).unknown
        faults += [f"the upload {key} was left behind" for key in left]
        sweeping.cancel()
        await asyncio.wait([sweeping])
        return results, faults

    def _doorbell(self) -> JobDoorbell:
        redis = self._servers.get("redis")
        if not isinstance(redis, RedisServer):
            return NoDoorbell()
        from ray.serve.task_consumer import instantiate_adapter_from_config

        from deployments.jobs.broker import processor_config, send_rings

        adapter = instantiate_adapter_from_config(processor_config(redis.url))
        return BrokerDoorbell(
            lambda count: send_rings(adapter, count), NoDoorbell(), max_workers=1, worker_items=JOB_ITEMS
        )

    async def _round(self, number: int, service: JobService, moments: random.Random) -> Round:
        target = self._servers[self._target]
        load = Load(service, f"r{number}")
        killed_after_s = moments.uniform(0.2, 1.2)
        await asyncio.sleep(killed_after_s)
        await asyncio.to_thread(target.kill)
        killed = time.monotonic()
        await asyncio.sleep(moments.uniform(0, 0.3))
        await asyncio.to_thread(target.start)
        await asyncio.sleep(0.3)
        await load.stop()
        self.expected |= load.acknowledged
        await _settled(service, list(load.acknowledged))
        items = sum(map(len, load.acknowledged.values()))
        return Round(items, round(killed_after_s, 3), round(time.monotonic() - killed, 3))

    async def _faults(self, service: JobService) -> list[str]:
        """What the table says that is not so."""
        faults = []
        for id, expected in self.expected.items():
            job, _ = await service.get(id)
            if (job.state, job.counts["done"], job.total) != ("done", len(expected), len(expected)):
                faults.append(f"{id} is {job.state} with {job.counts}")
            stored = [item.item_id for item in await service.items(id, None, -1, 1000)]
            if stored != expected:
                faults.append(f"{id} names other items than were sent")
        return faults

    async def stored_faults(self) -> list[str]:
        """What the index has not, and what it has that was not sent. For after the worker's end."""
        dim = FakeEncoder().info.dim
        index = await open_index("embedded", dim=dim, contract_json=CONTRACT, path=self._folder / "index")
        expected = {id for ids in self.expected.values() for id in ids}
        ids, after = set(), ""
        while page := await index.scan(after, 1000):
            ids |= {record.id for record in page}
            after = page[-1].id
        await index.close()
        return [f"lost: {id}" for id in expected - ids] + [f"not sent: {id}" for id in ids - expected]


async def _settled(service: JobService, ids: list[str]) -> None:
    deadline = time.monotonic() + SETTLE_S
    while ids:
        assert time.monotonic() < deadline, f"{len(ids)} jobs did not end within {SETTLE_S} s"
        with contextlib.suppress(Unavailable):
            if (await service.get(ids[-1]))[0].finished_at is not None:
                ids.pop()
                continue
        await asyncio.sleep(0.05)


def run(target: str, rounds: int, folder: Path) -> tuple[list[Round], list[str]]:
    """`rounds` kills of the target, and what is wrong afterwards: nothing, it is hoped."""
    chaos = Chaos(target, folder)
    with chaos.servers() as database_url:
        jobs = Jobs(options(folder, database_url))
        results, faults = asyncio.run(chaos.run(rounds, jobs))
        jobs.close()  # a transaction of a sweep that was cancelled ends with its thread, which `run` waits for
    return results, faults + asyncio.run(chaos.stored_faults())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=("worker", "redis", "postgres"), required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    begun = circumstances()
    with tempfile.TemporaryDirectory() as folder:
        results, faults = run(arguments.target, arguments.rounds, Path(folder))
    report = {
        "target": arguments.target,
        "rounds": len(results),
        "acknowledged_items": sum(one.acknowledged_items for one in results),
        "faults": faults,
        "each": [asdict(one) for one in results],
    }
    print(json.dumps({**begun, **report}, indent=2))
    write_report(arguments.output, report, begun)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
