"""The embedded sections of `bench_index`: each fills indexes, measures them, and says what it found as JSON."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.index_data import DIM, exact_answers, make_records, make_vectors, share_of
from loadtests.index_engines import (
    TOP_K,
    Engine,
    bare_faiss,
    embedded_engine,
    faiss_hnsw_engine,
    hnswlib_engine,
    proposer_of,
    recall,
    tune,
    usearch_engine,
)
from retrieval.base import Query, Vector, VectorIndex
from retrieval.embedded import EmbeddedIndex
from retrieval.filters import Filter, Range
from retrieval.open import EmbeddedOptions, IndexType, open_index

CONTRACT = '{"dim":384,"model":"bench"}'
EQUAL_RECALL = 0.96
"""What every engine is tuned to on one half of the queries, for 0.95 on the other."""
CLIENTS = (8, 32)
ROUNDS = 3
TURN, WARM_UP = 20, 2
DEPTHS = (100, 1000)
SELECTIVITIES = (0.5, 0.1, 0.01, 0.001)
BATCH = 256


def percentiles(times_s: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.asarray(times_s) * 1e3, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


async def bench_types(
    types: Sequence[IndexType], rows: int, queries: int, seconds: float, folder: Path, *, with_libraries: bool
) -> dict[str, Any]:
    matrix, asked = make_vectors(rows, seed=2), make_vectors(2 * queries, seed=3)
    answers = exact_answers(matrix, asked, TOP_K)
    opened: dict[IndexType, EmbeddedIndex] = {}
    results: dict[str, Any] = {}
    for type in types:
        opened[type], results[type] = await _filled(type, matrix, folder / type)
        results[type] |= await _as_a_server(opened[type], matrix, asked[queries:], answers[queries:], seconds)
    engines: list[Engine] = []
    for type, index in opened.items():
        engines += [embedded_engine(index, f"embedded {type}"), bare_faiss(index, matrix)]
    if with_libraries:
        engines += [faiss_hnsw_engine(matrix), hnswlib_engine(matrix), usearch_engine(matrix)]
    curves = {engine.name: tune(engine, asked[:queries], answers[:queries], EQUAL_RECALL) for engine in engines}
    measured = _side_by_side(engines, asked[queries:], answers[queries:], seconds)
    for index in opened.values():
        await index.close()
    return {"types": results, "engines": measured, "recall_by_effort": curves}


async def _filled(type: IndexType, matrix: Vector, folder: Path) -> tuple[EmbeddedIndex, dict[str, Any]]:
    """Inserts, build, restart."""
    flat_limit = min(EmbeddedOptions().flat_limit, len(matrix) // 2)
    options: dict[str, Any] = {
        "dim": DIM, "contract_json": CONTRACT, "path": folder,
        "embedded": EmbeddedOptions(type, flat_limit=flat_limit),
    }  # fmt: skip
    index = await open_index("embedded", **options)
    result: dict[str, Any] = {"insert_rows_per_s": round(await insert(index, matrix))}
    result["build_after_inserts_s"] = round(await _wait_until_built(index), 2)
    await index.close()
    begun = time.perf_counter()
    index = await open_index("embedded", **options)
    await index.search([Query(matrix[0], TOP_K)])
    result["restart_to_first_answer_s"] = round(time.perf_counter() - begun, 3)
    await _wait_until_built(index)
    assert isinstance(index, EmbeddedIndex)
    health = await index.health()
    result |= {"structure": health.structure, "health": health.detail}
    result["memory_mib"] = round(index._structure.nbytes / 2**20, 1)
    return index, result


async def insert(index: VectorIndex, matrix: Vector) -> float:
    """Rows per second, one batch after the other, each on disk before the next; making the records is not counted."""
    spent = 0.0
    for first in range(0, len(matrix), BATCH):
        records = make_records(matrix, first, BATCH)
        begun = time.perf_counter()
        await index.upsert(records)
        spent += time.perf_counter() - begun
    return len(matrix) / spent


async def _wait_until_built(index: VectorIndex) -> float:
    begun = time.perf_counter()
    while "building" in (await index.health()).detail:  # noqa: ASYNC110 (another thread's)
        await asyncio.sleep(0.05)
    return time.perf_counter() - begun


async def _as_a_server(
    index: EmbeddedIndex, matrix: Vector, asked: Vector, answers: list[set[int]], seconds: float
) -> dict[str, Any]:
    """With payloads, at the effort that the index chose itself: one at a time beside FAISS at the same effort, many
    clients, more hits, filters."""
    bare = bare_faiss(index, matrix)
    if bare.set_effort is not None:
        bare.set_effort(int(proposer_of(index).efforts[0]))
    ours: list[tuple[float, set[int]]] = []
    theirs: list[float] = []
    for start in range(0, len(asked), TURN):
        turn = asked[start : start + TURN]
        for is_ours in (True, False) if start // TURN % 2 else (False, True):
            if is_ours:
                ours += [await ask(index, query) for query in turn]
            else:
                theirs += [_timed(bare.search, query) for query in turn]
    warm = [n for n in range(len(asked)) if n % TURN >= WARM_UP]
    found = sum(len(rows & answer) for (_, rows), answer in zip(ours, answers, strict=True))
    payload = percentiles([ours[n][0] for n in warm]) | {"recall": round(found / (TOP_K * len(asked)), 4)}
    payload["faiss_p50_ms"] = percentiles([theirs[n] for n in warm])["p50_ms"]
    for clients in CLIENTS:
        payload[f"qps_{clients}"] = round(await in_tasks(lambda query: ask(index, query), asked, clients, seconds))
    few = asked[: max(20, len(asked) // 4)]
    return {
        "payload": payload,
        "depths": await _depths(index, matrix, few),
        "filtered": await filters(index, matrix, few),
    }


async def ask(
    index: VectorIndex, query: Vector, filter: Filter | None = None, top_k: int = TOP_K
) -> tuple[float, set[int]]:
    """Seconds and rows of one search of one query."""
    begun = time.perf_counter()
    ((*hits,),) = await index.search([Query(query, top_k, "any", filter)])
    return time.perf_counter() - begun, {int(hit.id[-7:]) for hit in hits}


def _timed(search: Callable[[Vector], object], query: Vector) -> float:
    begun = time.perf_counter()
    search(query)
    return time.perf_counter() - begun


async def _depths(index: VectorIndex, matrix: Vector, asked: Vector) -> dict[str, Any]:
    results = {}
    for top_k in DEPTHS:
        found = [await ask(index, query, top_k=top_k) for query in asked]
        right = sum(len(a & rows) for a, (_, rows) in zip(exact_answers(matrix, asked, top_k), found, strict=True))
        results[f"{top_k}"] = percentiles([s for s, _ in found]) | {"recall": round(right / (top_k * len(asked)), 4)}
    return results


async def filters(index: VectorIndex, matrix: Vector, asked: Vector) -> dict[str, Any]:
    shares = np.array([share_of(row, len(matrix)) for row in range(len(matrix))])
    results = {}
    for selectivity in SELECTIVITIES:
        filter = Range("metadata.share", "lt", selectivity)
        await ask(index, asked[0], filter)
        found = [await ask(index, query, filter) for query in asked]
        answers = exact_answers(matrix, asked, TOP_K, shares < selectivity)
        right = sum(len(a & rows) for a, (_, rows) in zip(answers, found, strict=True))
        results[f"{selectivity:.1%}"] = percentiles([s for s, _ in found]) | {
            "recall": round(right / sum(map(len, answers)), 4)
        }
    return results


def _side_by_side(
    engines: Sequence[Engine], asked: Vector, answers: list[set[int]], seconds: float
) -> list[dict[str, Any]]:
    """Ids and scores, in process: one client in turns, then many threads in rounds."""
    times: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for number, start in enumerate(range(0, len(asked), TURN)):
        shift = number % len(engines)
        for engine in [*engines[shift:], *engines[:shift]]:
            spent = [_timed(engine.search, query) for query in asked[start : start + TURN]]
            times[engine.name] += spent[WARM_UP:]
    rates: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for engine in engines:
            for clients in CLIENTS:
                rates.setdefault((engine.name, clients), []).append(_threads(engine, asked, clients, seconds))
    return [
        {
            "name": engine.name,
            "family": engine.family,
            "is_ours": engine.is_ours,
            "effort": engine.effort,
            "recall": round(recall(engine, asked, answers), 4),
            **percentiles(times[engine.name]),
            "qps_1": round(1 / float(np.median(times[engine.name]))),
            **{f"qps_{clients}": round(float(np.median(rates[engine.name, clients]))) for clients in CLIENTS},
            "memory_mib": round(engine.memory_bytes / 2**20, 1),
            "build_s": engine.build_s and round(engine.build_s, 1),
        }
        for engine in engines
    ]


def _threads(engine: Engine, asked: Vector, clients: int, seconds: float) -> float:
    """Queries a second that so many threads get done, each asking one after the other."""
    ending = time.perf_counter() + seconds
    counts = [0] * clients

    def client(number: int) -> None:
        place = number
        while time.perf_counter() < ending:
            engine.search(asked[place % len(asked)])
            place += 1
            counts[number] += 1

    begun = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


async def in_tasks(one: Callable[[Vector], Awaitable[Any]], asked: Vector, clients: int, seconds: float) -> float:
    ending = time.perf_counter() + seconds
    done = 0

    async def client(place: int) -> None:
        nonlocal done
        while time.perf_counter() < ending:
            await one(asked[place % len(asked)])
            place += 1
            done += 1

    begun = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    return done / (time.perf_counter() - begun)
