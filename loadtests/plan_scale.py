"""What 10 million and a billion vectors need in Milvus: segments, memory, machines, replicas, GPUs, money.

    python -m loadtests.plan_scale [--output FILE] [--doc docs/scale.md]

Measured here: a segment's cost (`segment_cost`). Simulated: a search over all of them (`cluster_simulation`).
Assumed, and named in `Assumptions`: machines, prices, what a GPU reaches. The document's tables are written between its
markers, so that they are those of the JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from loadtests.cluster_simulation import Latency, Layout, simulate
from loadtests.encoder_flops import forward_flops
from loadtests.report import circumstances, write_report
from loadtests.scale_document import render, write_doc
from loadtests.segment_cost import INDEX_TYPES, IndexType, SegmentCost, measure

SEED = 7
QUERIES = 400
SHAPE_2B = SimpleNamespace(
    vision_config=SimpleNamespace(
        hidden_size=1024, intermediate_size=4096, depth=24, deepstack_visual_indexes=(5, 11, 17), out_hidden_size=2048
    ),
    text_config=SimpleNamespace(
        hidden_size=2048, num_attention_heads=16, head_dim=128, num_key_value_heads=8, intermediate_size=6144,
        num_hidden_layers=28,
    ),
)  # fmt: skip
"""Of Qwen3-VL-2B."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured. Every field can be given on the command line."""

    dim: int = 1024
    """Of Qwen3-VL-Embedding-2B's 2048, cut (Matryoshka)."""
    per_second: float = 100.0
    p99_ms: float = 100.0
    """Of the search stage alone."""
    overhead_ms: float = 4.0
    """Of a query beside its segments: what Milvus 2.3.5 took here at 100,000 rows, where HNSW takes a tenth of it."""
    cores: int = 16
    memory_gb: float = 128.0
    memory_share: float = 0.7
    """Of a machine's memory, for vectors and their indexes."""
    row_bytes: float = 64.0
    """In memory beside the vector: primary key, offsets, deletions. Payloads are memory-mapped."""
    machine_dollars_per_h: float = 1.0
    gpu_dollars_per_h: float = 3.0
    gpu_peak_tflops: float = 700.0
    """Of bf16 matrix products on an H100, below its data sheet's 989."""
    gpu_share: float = 0.4
    """Of that peak. Not measured: no GPU was at hand."""
    image_tokens: int = 300
    """Of a picture of 640 x 480."""
    text_tokens: int = 40
    """The template's, beside the picture."""
    encode_days: float = 7.0
    inserts_per_s: float = 4600.0
    """Of 384 columns into one shard: Milvus 2.3.5 here. Taken to fall with the columns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to hold `rows` vectors: the cheapest layout that was found to answer in time with one replica lost."""

    rows: int
    index: IndexType
    segment_gb: float
    rows_per_segment: int
    segments: int
    task_ms: float
    memory_gb: float
    machines: int
    """Of one replica."""
    replicas: int
    p50_ms: float
    p99_ms: float
    busy: float
    """Share of the cores' time while a replica is lost."""
    dollars_per_month: float
    build_core_hours: float


def search_ms(costs: Sequence[SegmentCost], index: IndexType, rows: int) -> float:
    """A segment's cost at a size, from those measured: a + b log(rows) for graphs, a + b sqrt(rows) for lists; never
    less than a smaller one's."""
    measured = [cost for cost in costs if cost.index == index]
    grow = np.sqrt if index == "IVF_SQ8" else np.log
    slope, start = np.polyfit(grow([float(cost.rows) for cost in measured]), [c.search_ms for c in measured], 1)
    fitted = float(start + slope * grow(float(rows)))
    return max(fitted, *(cost.search_ms for cost in measured if cost.rows <= rows))


def plan(
    rows: int, index: IndexType, segment_gb: float, costs: Sequence[SegmentCost], given: Assumptions
) -> Plan | None:
    """None where no layout that was tried answers in time."""
    largest = max((cost for cost in costs if cost.index == index), key=lambda cost: cost.rows)
    per_segment = int(segment_gb * 1e9 / (4 * given.dim))
    segments = math.ceil(rows / per_segment)
    task_ms = search_ms(costs, index, min(per_segment, rows))
    memory_gb = rows * (largest.bytes_per_row + given.row_bytes) / 1e9
    fewest = math.ceil(memory_gb / (given.memory_gb * given.memory_share))
    best: tuple[int, Layout, int, Latency] | None = None
    for layout, replicas in _layouts(fewest, segments, given.cores):
        machines = layout.machines * replicas
        if best is not None and machines >= best[0]:
            continue
        load = given.per_second / (replicas - 1)
        if load * segments * task_ms / 1e3 > 0.9 * layout.machines * layout.cores:
            continue
        latency = simulate(
            layout, task_ms=task_ms, spread=largest.spread, per_second=load, overhead_ms=given.overhead_ms,
            queries=QUERIES, seed=SEED,
        )  # fmt: skip
        if latency.p99_ms <= given.p99_ms:
            best = machines, layout, replicas, latency
    if best is None:
        return None
    machines, layout, replicas, latency = best
    return Plan(
        rows=rows, index=index, segment_gb=segment_gb, rows_per_segment=per_segment, segments=segments,
        task_ms=round(task_ms, 3), memory_gb=round(memory_gb, 1), machines=layout.machines, replicas=replicas,
        p50_ms=round(latency.p50_ms, 1), p99_ms=round(latency.p99_ms, 1), busy=round(latency.busy, 2),
        dollars_per_month=round(machines * given.machine_dollars_per_h * 730),
        build_core_hours=round(rows / largest.rows * largest.build_s / 3600, 1),
    )  # fmt: skip


def _layouts(fewest: int, segments: int, cores: int) -> Iterator[tuple[Layout, int]]:
    """Replicas from two, so that one may be lost; machines from what memory needs to four times that."""
    for replicas in (2, 3, 4, 6):
        for times in (1.0, 1.25, 1.5, 2.0, 3.0, 4.0):
            machines = min(segments, math.ceil(fewest * times))
            yield Layout(machines, cores, math.ceil(segments / machines)), replicas


def encoding(rows: int, given: Assumptions) -> dict[str, Any]:
    """GPUs that encode `rows` pictures within the days given, derived from operations and not measured; and the shards
    that take the rows in at twice that rate."""
    per_image = forward_flops(SHAPE_2B, given.text_tokens, given.image_tokens)
    images_per_s = given.gpu_peak_tflops * 1e12 * given.gpu_share / per_image
    gpu_hours = rows / images_per_s / 3600
    return {
        "rows": rows,
        "gflop_per_image": round(per_image / 1e9),
        "images_per_gpu_s": round(images_per_s),
        "gpu_hours": round(gpu_hours),
        "gpus": math.ceil(gpu_hours / (given.encode_days * 24)),
        "days": given.encode_days,
        "dollars": round(gpu_hours * given.gpu_dollars_per_h),
        "rows_per_s": round(rows / (given.encode_days * 86_400)),
        "shards": max(2, math.ceil(2 * rows / (given.encode_days * 86_400) / (given.inserts_per_s * 384 / given.dim))),
    }


def checks(costs: Sequence[SegmentCost], given: Assumptions) -> list[dict[str, Any]]:
    """What the model says where others published a figure: VectorDBBench, 768 columns, 16 cores, recall 0.95."""
    published = ((1_000_000, 3465.0), (10_000_000, 2762.0))
    rows_of = []
    for rows, qps in published:
        segments = math.ceil(rows * 4 * 768 / 1e9)
        task_ms = search_ms(costs, "HNSW_SQ8", rows // segments) * 768 / given.dim
        rows_of.append(
            {"rows": rows, "published_per_s": qps, "model_per_s": round(16 * 1e3 / (segments * task_ms)),
             "segments": segments}
        )  # fmt: skip
    return rows_of


def main() -> None:
    arguments, given = _arguments()
    begun = circumstances()
    costs = _measured(arguments, given)
    plans = [
        found
        for rows in (10_000_000, 1_000_000_000)
        for index in INDEX_TYPES
        for segment_gb in (1.0, 4.0)
        if (found := plan(rows, index, segment_gb, costs, given)) is not None
    ]
    sections = {
        "assumptions": asdict(given),
        "segments": [asdict(cost) for cost in costs],
        "plans": [asdict(one) for one in plans],
        "encoding": [encoding(rows, given) for rows in (10_000_000, 1_000_000_000)],
        "checks": checks(costs, given),
    }
    with tempfile.TemporaryDirectory() as folder:
        output = arguments.output or Path(folder) / "plan.json"
        write_report(output, sections, begun)
        report = json.loads(output.read_text(encoding="utf-8"))
    print(render(report))
    if arguments.doc:
        write_doc(arguments.doc, report)


def _measured(arguments: argparse.Namespace, given: Assumptions) -> list[SegmentCost]:
    if arguments.measured:
        earlier = json.loads(arguments.measured.read_text(encoding="utf-8"))
        return [SegmentCost(**cost) for cost in earlier["segments"]]
    costs = []
    for index in INDEX_TYPES:
        for rows in arguments.segment_rows:
            costs.append(measure(index, given.dim, rows))
            print(costs[-1], flush=True)
    return costs


def _arguments() -> tuple[argparse.Namespace, Assumptions]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="where to write the JSON")
    parser.add_argument("--doc", type=Path, help="a document whose tables to write")
    parser.add_argument("--measured", type=Path, help="an earlier run's JSON, whose segments to take over")
    parser.add_argument("--segment-rows", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    for one in fields(Assumptions):
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=type(one.default), default=one.default)
    arguments = parser.parse_args()
    given = Assumptions(**{one.name: getattr(arguments, one.name) for one in fields(Assumptions)})
    return arguments, given


if __name__ == "__main__":
    main()
