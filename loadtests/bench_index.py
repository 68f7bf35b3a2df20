"""The embedded index and a Milvus server beside bare FAISS, hnswlib and usearch, in one run, at equal recall.

    python -m loadtests.bench_index [--quick] [--section flat|100k|1m|milvus …] [--output FILE [--fresh] [--docs DIR]]

Sections (each is written to FILE as soon as it is done, and skipped where FILE has it already):

    flat     10,000 x 384, compared with every row: with payloads, beside IndexFlatIP
    100k     100,000 x 384: embedded hnsw, ivf-sq8 and ivf-flat; bare FAISS over the same structures (what holds fewer
             bits refined by the float32 rows); FAISS's HNSW of float32 rows, hnswlib and usearch, of the same links
    1m       1,000,000 x 384: embedded ivf-sq8 and bare FAISS
    milvus   100,000 x 384 in a Milvus server (HNSW) through Crossray; needs root, and says so where it is skipped

Vectors are synthetic (`index_data`). One half of the queries finds for each engine the least effort with recall@10 of
at least 0.95; the other half is measured, so that all are compared at equal recall. One at a time the engines take
turns of 20 queries, in a changing order, so that a noisy machine disturbs all alike; the first of a turn are not
counted, for they find another's rows in the processor's cache. 8 and 32 clients are threads (with payloads: tasks on an
event loop). "As tuned" is the embedded index at the effort that it chose itself for its default target of 0.98.
Set OMP_NUM_THREADS=1 on a shared machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss

from loadtests.index_measures import bench_types
from loadtests.index_milvus import bench_milvus
from loadtests.index_page import print_section, write_page
from loadtests.report import circumstances, write_report

SECTIONS = ("flat", "100k", "1m", "milvus")
ROWS = {"flat": 10_000, "100k": 100_000, "1m": 1_000_000, "milvus": 100_000}
QUICK = 50
"""A quick run takes one row of so many: it shows that everything works, and measures nothing."""
TARGET_RECALL = 0.95
TARGET_TIMES_FASTEST = 1.5
TARGET_OVER_FAISS_MS = 0.5
TARGET_FILTERED_P50_MS = 25.0
TARGET_INSERT_ROWS_PER_S = 3_000


def run(section: str, quick: bool, folder: Path) -> dict[str, Any]:
    rows = ROWS[section] // (QUICK if quick else 1)
    queries, seconds = (40, 0.2) if quick else (400, 2.0)
    works: dict[str, Callable[[], Any]] = {
        "flat": lambda: bench_types(("flat",), rows, queries, seconds, folder, with_libraries=False),
        "100k": lambda: bench_types(
            ("hnsw", "ivf-sq8", "ivf-flat"), rows, queries, seconds, folder, with_libraries=True
        ),
        "1m": lambda: bench_types(("ivf-sq8",), rows, queries, seconds, folder, with_libraries=False),
        "milvus": lambda: bench_milvus(rows, queries, seconds, folder),
    }
    return {"rows": rows, "quick": quick, **asyncio.run(works[section]())}


def verdicts(sections: dict[str, Any]) -> dict[str, bool]:
    """Which targets were met in this run."""
    found: dict[str, bool] = {}
    for section in sections.values():
        rows = f"{section['rows']:,} rows"
        if "engines" not in section:
            continue
        engines = [engine for engine in section["engines"] if engine["recall"] >= TARGET_RECALL]
        for family in dict.fromkeys(engine["family"] for engine in engines):
            alike = [engine for engine in engines if engine["family"] == family]
            found[f"{rows}: {_name(f'embedded {family}', f'the fastest {family}')}"] = _holds_up(alike)
        found[f"{rows}: {_name('embedded', 'the fastest of all')}"] = _holds_up(engines)
        for type, result in section["types"].items():
            filtered = result["filtered"].values()
            found |= {
                f"{rows}, {type}: with payloads at most {TARGET_OVER_FAISS_MS} ms over bare FAISS": (
                    result["payload"]["p50_ms"] - result["payload"]["faiss_p50_ms"] <= TARGET_OVER_FAISS_MS
                ),
                f"{rows}, {type}: recall at least {TARGET_RECALL}, also under filters": (
                    min(row["recall"] for row in (result["payload"], *filtered)) >= TARGET_RECALL
                ),
                f"{rows}, {type}: at least {TARGET_INSERT_ROWS_PER_S:,} durable inserts a second": (
                    result["insert_rows_per_s"] >= TARGET_INSERT_ROWS_PER_S
                ),
            }
            if section["rows"] <= ROWS["100k"]:
                found[f"{rows}, {type}: filtered p50 at most {TARGET_FILTERED_P50_MS:g} ms"] = (
                    max(row["p50_ms"] for row in filtered) <= TARGET_FILTERED_P50_MS
                )
    return found


def _name(ours: str, others: str) -> str:
    return f"{ours}, ids and scores, within {TARGET_TIMES_FASTEST} x {others}, at 1, 8 and 32 clients"


def _holds_up(engines: list[dict[str, Any]]) -> bool:
    """Whether the best of ours is near the best of all, in each column by itself."""
    ours = [engine for engine in engines if engine["is_ours"]]
    return bool(ours) and all(
        max(engine[column] for engine in ours) * TARGET_TIMES_FASTEST >= max(engine[column] for engine in engines)
        for column in ("qps_1", "qps_8", "qps_32")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", choices=SECTIONS, nargs="+", default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the rows: to see it work")
    parser.add_argument("--fresh", action="store_true", help="measure again what FILE has")
    parser.add_argument("--output", type=Path, help="write the report here, as JSON")
    parser.add_argument("--docs", type=Path, help="write index-benchmark.md and plots/ of the report into this folder")
    arguments = parser.parse_args()
    if arguments.docs and not arguments.output:
        parser.error("--docs is made from the report: give --output, too")
    begun = circumstances()
    report: dict[str, Any] = {"versions": {"faiss": faiss.__version__}, "sections": {}}
    if arguments.output and arguments.output.exists() and not arguments.fresh:
        old = json.loads(arguments.output.read_text(encoding="utf-8"))
        report["sections"] = {k: v for k, v in old.get("sections", {}).items() if v["quick"] == arguments.quick}
    for name in arguments.section:
        if name not in report["sections"]:
            with tempfile.TemporaryDirectory() as folder:
                circumstances_of_it = circumstances()
                report["sections"][name] = run(name, arguments.quick, Path(folder)) | {"measured": circumstances_of_it}
            done = report["sections"]
            report["sections"] = {section: done[section] for section in SECTIONS if section in done}
            write_report(arguments.output, report | {"targets_met": verdicts(report["sections"])}, begun)
        print_section(name, report["sections"][name])
    print("\n".join(f"{name}: {met}" for name, met in verdicts(report["sections"]).items()))
    if arguments.docs:
        write_page(arguments.output, arguments.docs)


if __name__ == "__main__":
    main()
