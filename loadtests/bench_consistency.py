"""What each consistency of a Milvus server costs a search, at rest and right after a write.

    python -m loadtests.bench_consistency [--rows 2000] [--output FILE]

One caller; a server of our own at Milvus's own pace (see `milvus_server`), which needs root. `seen` is the share of
searches right after an upsert that answer with the row upserted.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.milvus_server import MilvusServer
from loadtests.report import circumstances, table, write_report
from retrieval.base import Payload, Query, Record, Vector
from retrieval.open import Consistency, open_index

DIM = 384
TURNS = 60
LEVELS: tuple[Consistency, ...] = ("bounded", "session", "strong")


def rows(count: int, seed: int) -> Vector:
    vectors = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


async def measure(server: MilvusServer, level: Consistency, count: int) -> dict[str, Any]:
    options = server.options(alias="consistency", consistency=level)
    index = await open_index("milvus", dim=DIM, contract_json='{"model":"bench"}', uri=server.uri, milvus=options)
    stored = rows(count, 0)
    for start in range(0, count, 500):
        part = enumerate(stored[start : start + 500], start)
        await index.upsert([Record(f"{i:06}", row, Payload(kind="image")) for i, row in part])
    await asyncio.sleep(1)
    at_rest, after_write, seen = [], [], 0
    for query in rows(TURNS, 1):
        begun = time.perf_counter()
        await index.search([Query(query, 10)])
        at_rest.append(time.perf_counter() - begun)
    for turn, row in enumerate(rows(TURNS, LEVELS.index(level) + 2)):
        id = f"{level}-{turn}"
        await index.upsert([Record(id, row, Payload(kind="image"))])
        begun = time.perf_counter()
        (hits,) = await index.search([Query(row, 10)])
        after_write.append(time.perf_counter() - begun)
        seen += id in [hit.id for hit in hits]
    await index.close()
    return {
        "consistency": level,
        "at_rest_p50_ms": round(1000 * statistics.median(at_rest), 2),
        "after_write_p50_ms": round(1000 * statistics.median(after_write), 2),
        "seen": round(seen / TURNS, 3),
    }


async def run(count: int) -> list[dict[str, Any]]:
    # The server ends with the thread that starts it: this one, in which the event loop runs.
    with tempfile.TemporaryDirectory() as folder, MilvusServer(Path(folder)) as server:
        return [await measure(server, level, count) for level in LEVELS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--output", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    begun = circumstances()
    results = asyncio.run(run(arguments.rows))
    print(table(results))
    write_report(arguments.output, {"rows": arguments.rows, "dim": DIM, "levels": results}, begun)


if __name__ == "__main__":
    main()
