"""The embedded index against bare FAISS: searches, filtered searches, durable inserts, a restart.

    python -m loadtests.bench_index [--rows 10000 100000] [--milvus] [--output FILE]

Vectors are synthetic: unit rows around random centres, so that they have neighbours; queries are drawn the same way.
"Bare FAISS" is the same structure without ids, payloads, durability or an event loop: IndexFlatIP where the index is
flat; else the index's own inverted file at its own nprobe, refined by the float32 rows as the index does it
(IndexRefine). Recall is against the exact answer: @10, and of the index @100 and @1000, too. The two take turns of 20
queries, so that a noisy machine disturbs both alike and neither works beside the other's copy of the rows in the
processor's cache. Set OMP_NUM_THREADS=1 on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from loadtests.report import circumstances, write_report
from retrieval.base import Payload, Query, Record, Vector, VectorIndex
from retrieval.embedded import EmbeddedIndex
from retrieval.embedded.ivf import MIN_PROPOSALS
from retrieval.filters import Filter, Range
from retrieval.open import open_index

DIM = 384
TOP_K = 10
DEPTHS = (100, 1000)
"""Numbers of hits beyond `TOP_K` for which the index is asked, too."""
BATCH = 256
CONTRACT = '{"dim":384,"model":"bench"}'
SELECTIVITIES = (0.5, 0.1, 0.01, 0.001)
CENTRES = 3000
TURN = 20
WARM_UP = 2
"""Queries of a turn that are not counted: they find the other's rows in the processor's cache."""
TARGET_OVER_FAISS_MS = 0.5
TARGET_RECALL = 0.95
TARGET_FILTERED_P50_MS = 25.0
TARGET_INSERT_ROWS_PER_S = 3_000
SPREAD = 1.0
"""Length of the noise relative to the centre's."""


def make_vectors(count: int, seed: int) -> Vector:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CENTRES, DIM), dtype=np.float32)
    rows = centres[random.integers(0, CENTRES, count)]
    rows = rows + SPREAD * random.standard_normal((count, DIM), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def make_records(matrix: Vector) -> list[Record]:
    """`share` is spread evenly over 0 to 1, so that a range over it passes just the share that it names."""
    shares = np.random.default_rng(1).permutation(len(matrix)) / len(matrix)
    return [
        Record(
            f"item-{i:07}",
            row,
            Payload(kind="image", mime="image/jpeg", media=f"{i:064x}", source=f"photos/{i}.jpg", width=640, height=480,
                    tags=("bench",), metadata={"share": float(share)}),
        )
        for i, (row, share) in enumerate(zip(matrix, shares, strict=True))
    ]  # fmt: skip


def percentiles(times_s: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(np.asarray(times_s) * 1e3, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


async def ask(
    index: VectorIndex, query: Vector, filter: Filter | None = None, top_k: int = TOP_K
) -> tuple[float, set[str]]:
    """Seconds and ids of one search of one query."""
    start = time.perf_counter()
    ((*hits,),) = await index.search([Query(query, top_k, "any", filter)])
    return time.perf_counter() - start, {hit.id for hit in hits}


def bare_faiss(index: VectorIndex, matrix: Vector) -> Callable[[Vector], tuple[float, list[int]]]:
    """The same structure, called as FAISS is called."""
    ivf = index._structure.ivf if isinstance(index, EmbeddedIndex) else None
    rows = faiss.IndexFlatIP(DIM)
    rows.add(matrix)
    structure: Any = rows
    parameters = None
    if ivf is not None:
        lists_of_all = faiss.clone_index(ivf.index)
        assert isinstance(index, EmbeddedIndex)
        late = index._structure.rows.unindexed()  # a few rows may not be in the lists yet
        if len(late):
            lists_of_all.add_with_ids(matrix[late], late)
        structure = faiss.IndexRefine(lists_of_all, rows)
        lists = faiss.SearchParametersIVF(nprobe=ivf.nprobe(TOP_K))  # type: ignore[call-arg]
        factor = MIN_PROPOSALS / TOP_K
        parameters = faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=lists)  # type: ignore[call-arg]

    def search(query: Vector) -> tuple[float, list[int]]:
        start = time.perf_counter()
        _, found = structure.search(query[None], TOP_K, params=parameters)
        return time.perf_counter() - start, found[0].tolist()

    return search


async def measure_search(
    index: VectorIndex, records: Sequence[Record], matrix: Vector, queries: Vector
) -> dict[str, Any]:
    bare = bare_faiss(index, matrix)
    # A structure built in the background holds rows in the order of their slots, here that of the records.
    answers = [{int(i) for i in np.argpartition(-(matrix @ query), TOP_K)[:TOP_K]} for query in queries]
    ours: list[tuple[float, set[str]]] = []
    theirs: list[tuple[float, list[int]]] = []
    for start in range(0, len(queries), TURN):
        turn = queries[start : start + TURN]
        if start // TURN % 2:
            ours += [await ask(index, query) for query in turn]
            theirs += [bare(query) for query in turn]
        else:
            theirs += [bare(query) for query in turn]
            ours += [await ask(index, query) for query in turn]
    found = sum(len({records[i].id for i in exact} & ids) for exact, (_, ids) in zip(answers, ours, strict=True))
    found_bare = sum(len(exact & set(slots)) for exact, (_, slots) in zip(answers, theirs, strict=True))
    warm = [n for n in range(len(queries)) if n % TURN >= WARM_UP]
    total = TOP_K * len(queries)
    result = {"embedded": percentiles([ours[n][0] for n in warm]) | {"recall": round(found / total, 4)}}
    result["faiss"] = percentiles([theirs[n][0] for n in warm]) | {"recall": round(found_bare / total, 4)}
    overhead = result["embedded"]["p50_ms"] - result["faiss"]["p50_ms"]
    return result | {"p50_over_faiss_ms": round(overhead, 3)}


async def measure_depths(
    index: VectorIndex, records: Sequence[Record], matrix: Vector, queries: Vector
) -> dict[str, Any]:
    results = {}
    for top_k in DEPTHS:
        times, found = [], 0
        for query in queries:
            elapsed, ids = await ask(index, query, top_k=top_k)
            found += len({records[i].id for i in np.argpartition(-(matrix @ query), top_k)[:top_k]} & ids)
            times.append(elapsed)
        results[f"{top_k}"] = percentiles(times) | {"recall": round(found / (top_k * len(queries)), 4)}
    return results


async def measure_filters(
    index: VectorIndex, records: Sequence[Record], matrix: Vector, queries: Vector
) -> dict[str, Any]:
    shares = np.array([record.payload.metadata["share"] for record in records])
    results = {}
    for selectivity in SELECTIVITIES:
        filter = Range("metadata.share", "lt", selectivity)
        passing = np.flatnonzero(shares < selectivity)
        await ask(index, queries[0], filter)
        times, found, wanted = [], 0, 0
        for query in queries:
            elapsed, ids = await ask(index, query, filter)
            exact = passing[np.argsort(-(matrix[passing] @ query))[:TOP_K]]
            found += len({records[i].id for i in exact} & ids)
            wanted += len(exact)
            times.append(elapsed)
        results[f"{selectivity:.1%}"] = percentiles(times) | {"recall": round(found / wanted, 4)}
    return results


async def insert(index: VectorIndex, records: Sequence[Record]) -> float:
    """Rows per second, one batch after the other; each is on disk before the next."""
    start = time.perf_counter()
    for first in range(0, len(records), BATCH):
        await index.upsert(records[first : first + BATCH])
    return len(records) / (time.perf_counter() - start)


async def wait_until_built(index: VectorIndex) -> float:
    start = time.perf_counter()
    while "building" in (await index.health()).detail:  # noqa: ASYNC110 (another thread's)
        await asyncio.sleep(0.05)
    return time.perf_counter() - start


async def bench_embedded(rows: int, queries: int, folder: Path) -> dict[str, Any]:
    matrix = make_vectors(rows, seed=2)
    asked = make_vectors(queries, seed=3)
    records = make_records(matrix)
    options: dict[str, Any] = {"dim": DIM, "contract_json": CONTRACT, "path": folder / "embedded"}
    index = await open_index("embedded", **options)
    result: dict[str, Any] = {"rows": rows, "insert_rows_per_s": round(await insert(index, records))}
    await wait_until_built(index)
    await index.close()
    start = time.perf_counter()
    index = await open_index("embedded", **options)
    await ask(index, asked[0])
    result["restart_to_first_answer_s"] = round(time.perf_counter() - start, 3)
    result["build_after_restart_s"] = round(await wait_until_built(index), 2)
    result["health"] = (await index.health()).detail
    result["structure"] = (await index.health()).structure
    result["search"] = await measure_search(index, records, matrix, asked)
    result["depths"] = await measure_depths(index, records, matrix, asked[: max(20, queries // 4)])
    result["filtered"] = await measure_filters(index, records, matrix, asked[: max(20, queries // 4)])
    await index.close()
    return result


async def bench_milvus(rows: int, queries: int, folder: Path) -> dict[str, Any]:
    matrix, asked = make_vectors(rows, seed=2), make_vectors(queries, seed=3)
    records = make_records(matrix)
    index = await open_index("milvus", dim=DIM, contract_json=CONTRACT, path=folder / "milvus")
    result: dict[str, Any] = {"rows": rows, "insert_rows_per_s": round(await insert(index, records))}
    await ask(index, asked[0])
    times = [(await ask(index, query))[0] for query in asked]
    result["search"] = percentiles(times)
    result["filtered"] = await measure_filters(index, records, matrix, asked[:5])
    await index.close()
    return result


def verdicts(results: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """Which targets were met in this run."""
    found: dict[str, bool] = {}
    for result in results:
        rows, search, filtered = f"{result['rows']:,} rows", result["search"], result["filtered"].values()
        found |= {
            f"{rows}: search p50 at most {TARGET_OVER_FAISS_MS} ms over bare FAISS": (
                search["p50_over_faiss_ms"] <= TARGET_OVER_FAISS_MS
            ),
            f"{rows}: recall at least {TARGET_RECALL}, also under filters": (
                min(row["recall"] for row in (search["embedded"], *filtered)) >= TARGET_RECALL
            ),
            f"{rows}: filtered search p50 at most {TARGET_FILTERED_P50_MS:g} ms": (
                max(row["p50_ms"] for row in filtered) <= TARGET_FILTERED_P50_MS
            ),
            f"{rows}: at least {TARGET_INSERT_ROWS_PER_S:,} durable inserts a second": (
                result["insert_rows_per_s"] >= TARGET_INSERT_ROWS_PER_S
            ),
        }
    return found


def print_table(report: dict[str, Any]) -> None:
    for result in report["embedded"]:
        search = result["search"]
        print(f"\nembedded, {result['rows']:,} x {DIM}, {result['structure']}: {result['health']}")
        print(f"  {'':22}{'p50 ms':>9}{'p99 ms':>9}{'recall':>9}")
        rows = {"search": search["embedded"], "bare FAISS": search["faiss"]}
        rows |= {f"search, {depth} hits": row for depth, row in result["depths"].items()}
        rows |= {f"filter passing {share}": row for share, row in result["filtered"].items()}
        for label, row in rows.items():
            print(f"  {label:22}{row['p50_ms']:9.3f}{row['p99_ms']:9.3f}{row['recall']:9.4f}")
        print(f"  search p50 - FAISS p50: {search['p50_over_faiss_ms']} ms")
        print(f"  durable insert in batches of {BATCH}: {result['insert_rows_per_s']:,} rows/s")
        print(f"  restart to first answer: {result['restart_to_first_answer_s']} s")
    if milvus := report.get("milvus_lite"):
        print(f"\nMilvus Lite, {milvus['rows']:,} x {DIM}: search p50 {milvus['search']['p50_ms']} ms, ", end="")
        print(f"insert {milvus['insert_rows_per_s']:,} rows/s, filtered {milvus['filtered']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--milvus", action="store_true", help="Milvus Lite at 10,000 rows, too")
    parser.add_argument("--output", type=Path, help="write the report here")
    arguments = parser.parse_args()
    begun = circumstances()
    report: dict[str, Any] = {"faiss": faiss.__version__, "embedded": []}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            report["embedded"].append(asyncio.run(bench_embedded(rows, arguments.queries, Path(folder))))
    if arguments.milvus:
        with tempfile.TemporaryDirectory() as folder:
            report["milvus_lite"] = asyncio.run(bench_milvus(10_000, 40, Path(folder)))
    report["targets_met"] = verdicts(report["embedded"])
    print_table(report)
    print("\n".join(f"{name}: {met}" for name, met in report["targets_met"].items()))
    write_report(arguments.output, report, begun)


if __name__ == "__main__":
    main()
