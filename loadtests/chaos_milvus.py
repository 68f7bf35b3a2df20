"""SIGKILL a Milvus server under a load of writes and searches, start it again, and count what was lost.

    python -m loadtests.chaos_milvus [--rounds 20] [--output FILE]

Tasks upsert, delete and search through one `MilvusIndex`, before the kill, through the outage, and after it; nothing
tells them of it but the index's own errors. A write counts as acknowledged when its call has returned. After each
round every acknowledged row must be there once, with its vector, and be found by it; every row whose delete was
acknowledged must be gone. Exits 1 where one is not. Needs root (see `milvus_server`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from loadtests.milvus_server import MilvusServer
from loadtests.report import circumstances, write_report
from retrieval.base import Payload, Query, Record, Vector, VectorIndex
from retrieval.errors import IndexUnavailable
from retrieval.open import open_index

DIM = 64
CONTRACT = '{"model":"chaos"}'
WRITERS = 4
SEARCHERS = 2
AFTER_S = 1.0
"""For how long the load goes on when the server is back."""
IDS_PER_CHECK = 200


@dataclass(frozen=True)
class Round:
    acknowledged: int
    deleted: int
    missing: int
    """Acknowledged ids, of this round and those before it, that are not there, or with another vector."""
    unfound: int
    """Acknowledged ids that are there and that a search for their own vector does not answer with."""
    doubled: int
    """Rows beyond the first of an id."""
    undead: int
    """Ids that are there though their delete was acknowledged."""
    refused: int
    """Calls that ended in IndexUnavailable."""
    slowest_refusal_s: float
    """Of those, how long the longest took to say so."""
    outage_s: float
    """From the kill to the first write and the first search that were answered, each begun after it."""


@dataclass
class Load:
    """What the tasks did, and whether they go on."""

    index: VectorIndex
    prefix: str
    acknowledged: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refusals_s: list[float] = field(default_factory=list)
    answered: dict[str, float] = field(default_factory=dict)
    """When the last call of each kind began that was answered."""
    is_over: bool = False

    async def write(self, task: int) -> None:
        number = 0
        while not self.is_over:
            ids = [f"{self.prefix}-{task}-{number + i}" for i in range(5 * (1 + task))]
            number += len(ids)
            passing = f"{self.prefix}-{task}-passing-{number}"
            await self._until_done("write", partial(self.index.upsert, records([*ids, passing])))
            self.acknowledged += ids
            await self._until_done("write", partial(self.index.delete, [passing]))
            self.deleted.append(passing)

    async def search(self) -> None:
        while not self.is_over:
            query = Query(vector_of(random.choice(self.acknowledged or ["any"])), 5)
            await self._until_done("search", partial(self.index.search, [query]))

    async def _until_done(self, kind: str, call: Callable[[], Awaitable[object]]) -> None:
        while True:
            begun = time.monotonic()
            try:
                await call()
            except IndexUnavailable as error:
                self.refusals_s.append(time.monotonic() - begun)
                await asyncio.sleep(min(0.5, error.retry_after_s))
            else:
                self.answered[kind] = begun
                return


def vector_of(id: str) -> Vector:
    row = np.random.default_rng(zlib.crc32(id.encode())).standard_normal(DIM)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def records(ids: list[str]) -> list[Record]:
    return [Record(id, vector_of(id), Payload(kind="image", source=id)) for id in ids]


async def one_round(server: MilvusServer, index: VectorIndex, prefix: str, lived_s: float) -> tuple[Load, float]:
    """The load, and for how long the server was away from it."""
    load = Load(index, prefix)
    tasks = [asyncio.create_task(load.write(task)) for task in range(WRITERS)]
    tasks += [asyncio.create_task(load.search()) for _ in range(SEARCHERS)]
    await asyncio.sleep(lived_s)
    killed = time.monotonic()
    # In threads of the event loop's pool, which live as long as it: the server ends with the thread that started it.
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    while min(load.answered.get("write", 0.0), load.answered.get("search", 0.0)) < killed:
        await asyncio.sleep(0.02)
        if not server.is_running:  # as whatever runs a server would do
            await asyncio.to_thread(server.start)
    outage_s = max(load.answered["write"], load.answered["search"]) - killed
    await asyncio.sleep(AFTER_S)
    load.is_over = True
    await asyncio.gather(*tasks)
    return load, outage_s


async def check(index: VectorIndex, acknowledged: list[str], deleted: list[str]) -> dict[str, int]:
    """How many ids are missing, unfound, doubled and undead."""
    missing = unfound = 0
    for start in range(0, len(acknowledged), IDS_PER_CHECK):
        part = acknowledged[start : start + IDS_PER_CHECK]
        stored = await index.get(part)
        hits = await index.search([Query(vector_of(id), 1) for id in part])
        for id, record, found in zip(part, stored, hits, strict=True):
            whole = record is not None and np.array_equal(record.vector, vector_of(id)) and record.payload.source == id
            missing += not whole
            unfound += whole and [hit.id for hit in found] != [id]
    walked: list[str] = []
    while page := await index.scan(walked[-1] if walked else ""):
        walked += [record.id for record in page]
    doubled = max(len(walked), await index.count()) - len(set(walked))
    return {"missing": missing, "unfound": unfound, "doubled": doubled, "undead": len({*walked} & {*deleted})}


async def run(rounds: int, server: MilvusServer, seed: int = 0) -> list[Round]:
    """`rounds` kills of a server that runs. Every round looks for the ids of all rounds before it, too."""
    moments = random.Random(seed)
    options = server.options(alias="chaos", consistency="session", deadline_s=5)
    index = await open_index("milvus", dim=DIM, contract_json=CONTRACT, uri=server.uri, milvus=options)
    acknowledged: list[str] = []
    deleted: list[str] = []
    results = []
    for number in range(rounds):
        load, outage_s = await one_round(server, index, f"r{number}", moments.uniform(0.5, 2.0))
        acknowledged += load.acknowledged
        deleted += load.deleted
        counts = await check(index, acknowledged, deleted)
        slowest_s = round(max(load.refusals_s, default=0.0), 2)
        sizes = (len(load.acknowledged), len(load.deleted))
        results.append(Round(*sizes, **counts, refused=len(load.refusals_s), slowest_refusal_s=slowest_s,
                             outage_s=round(outage_s, 1)))  # fmt: skip
        print(f"round {number + 1}: {results[-1]}", file=sys.stderr, flush=True)
    await index.close()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    begun = circumstances()
    with tempfile.TemporaryDirectory() as folder, MilvusServer(Path(folder)) as server:
        results = asyncio.run(run(arguments.rounds, server))
    faults = ("missing", "unfound", "doubled", "undead")
    report = {
        "rounds": len(results),
        "acknowledged": sum(r.acknowledged for r in results),
        "deleted": sum(r.deleted for r in results),
        **{name: getattr(results[-1], name) for name in faults},
        "each": [asdict(r) for r in results],
    }
    print(json.dumps({**begun, **report}, indent=2))
    write_report(arguments.output, report, begun)
    return 1 if any(getattr(r, name) for r in results for name in faults) else 0


if __name__ == "__main__":
    sys.exit(main())
