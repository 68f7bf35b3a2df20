"""SIGKILL the owner of an embedded index in the middle of upserts, again and again, and count what was lost.

    python -m loadtests.chaos_index [--rounds 20] [--output FILE]

A child process upserts from several tasks at once and names every id on a pipe after its upsert has returned. It is
killed at a random moment. The parent then opens the index itself: every named id must be there with its vector, and a
search for that vector must find it. The type of the index changes from round to round. Exits 1 where one is lost.
(SIGKILL cannot show a missing fsync: that the log is flushed is tested in tests/unit/retrieval.)
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from loadtests.report import ROOT, circumstances, write_report
from retrieval.base import Payload, Query, Record, Vector, VectorIndex
from retrieval.open import EmbeddedOptions, IndexType, open_index

DIM = 64
CONTRACT = '{"model":"chaos"}'
TASKS = 8
FLAT_LIMIT = 500
"""Small, so that structures are built and snapshots written while the killing goes on."""
TYPES: tuple[IndexType, ...] = ("auto", "hnsw", "ivf-flat")


@dataclass(frozen=True)
class Round:
    type: IndexType
    acknowledged: int
    missing: int
    """Acknowledged ids that are not there, or with another vector."""
    unfound: int
    """Acknowledged ids that are there and that a search for their own vector does not answer with."""
    lived_s: float


def vector_of(id: str) -> Vector:
    """A vector that both processes can make."""
    row = np.random.default_rng(zlib.crc32(id.encode())).standard_normal(DIM)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


async def open_as(type: IndexType, folder: Path) -> VectorIndex:
    """With a target at which every row is found, so that one that is not was lost."""
    options = EmbeddedOptions(type, flat_limit=FLAT_LIMIT, target_recall=1.0)
    return await open_index("embedded", dim=DIM, contract_json=CONTRACT, path=folder, embedded=options)


async def own(folder: Path, prefix: str, type: IndexType) -> None:
    """The child: upserts until it is killed; replaces and deletes some of what no one was told of."""
    index = await open_as(type, folder)
    print("open", flush=True)

    async def write(task: int) -> None:
        number = 0
        while True:
            ids = [f"{prefix}-{task}-{number + i}" for i in range(1 + task)]
            number += len(ids)
            passing = f"passing-{task}"
            await index.upsert([Record(passing, vector_of(passing + ids[0]), Payload(kind="image"))])
            await index.upsert([Record(id, vector_of(id), Payload(kind="image", source=id)) for id in ids])
            os.write(1, "".join(f"{id}\n" for id in ids).encode())
            await index.delete([passing])

    await asyncio.gather(*(write(task) for task in range(TASKS)))


def kill_one(folder: Path, prefix: str, type: IndexType, after_s: float) -> list[str]:
    """Starts a child, kills it `after_s` after it began to write, and returns the ids that it named."""
    command = [sys.executable, "-m", "loadtests.chaos_index", "--own", str(folder), "--prefix", prefix, "--type", type]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"open\n":
            raise RuntimeError("the child did not open the index")
        named = os.read(child.stdout.fileno(), 65536)  # on a busy machine the first write takes its time
        named += _read_until(child, time.monotonic() + after_s)
        child.kill()
        named += child.stdout.read()
    # A line that the kill cut short was not yet told.
    return named.decode().split("\n")[:-1]


def _read_until(child: subprocess.Popen[bytes], deadline: float) -> bytes:
    assert child.stdout is not None
    chunks = []
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                chunks.append(os.read(child.stdout.fileno(), 65536))
    return b"".join(chunks)


async def check(folder: Path, ids: list[str], type: IndexType) -> tuple[int, int]:
    """How many of `ids` are missing, and how many a search does not find."""
    index = await open_as(type, folder)
    missing = unfound = 0
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        stored = await index.get(part)
        hits = await index.search([Query(vector_of(id), 1) for id in part])
        for id, record, found in zip(part, stored, hits, strict=True):
            whole = record is not None and np.array_equal(record.vector, vector_of(id)) and record.payload.source == id
            missing += not whole
            unfound += whole and [hit.id for hit in found] != [id]
    await index.close()
    return missing, unfound


def run(rounds: int, folder: Path, seed: int = 0) -> list[Round]:
    """`rounds` kills of one index. Every round looks for the ids of all rounds before it, too."""
    moments = random.Random(seed)
    acknowledged: list[str] = []
    results = []
    for number, type in zip(range(rounds), itertools.cycle(TYPES), strict=False):
        lived_s = moments.uniform(0.1, 1.0)
        named = kill_one(folder, f"r{number}", type, lived_s)
        acknowledged += named
        missing, unfound = asyncio.run(check(folder, acknowledged, type))
        results.append(Round(type, len(named), missing, unfound, round(lived_s, 3)))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    parser.add_argument("--own", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--prefix", default="", help=argparse.SUPPRESS)
    parser.add_argument("--type", default="auto", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        asyncio.run(own(arguments.own, arguments.prefix, arguments.type))
    begun = circumstances()
    with tempfile.TemporaryDirectory() as folder:
        results = run(arguments.rounds, Path(folder))
    report = {
        "rounds": len(results),
        "acknowledged": sum(r.acknowledged for r in results),
        "missing": results[-1].missing,
        "unfound": results[-1].unfound,
        "each": [asdict(r) for r in results],
    }
    print(json.dumps({**begun, **report}, indent=2))
    write_report(arguments.output, report, begun)
    return 1 if any(r.missing or r.unfound for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
