from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.cluster_simulation import Layout, simulate
from loadtests.plan_scale import Assumptions, encoding, plan, search_ms
from loadtests.report import read_figures
from loadtests.scale_document import render
from loadtests.segment_cost import SegmentCost, measure

ROOT = Path(__file__).parents[3]


def cost(rows: int, search_ms: float, index: str = "HNSW") -> SegmentCost:
    return SegmentCost(index, 1024, rows, 64, 0.96, search_ms, 2.0, 4200.0, 10.0)  # type: ignore[arg-type]


COSTS = [cost(20_000, 0.4), cost(40_000, 0.5), cost(80_000, 0.6)]


def test_a_lone_query_takes_its_tasks_and_the_overhead() -> None:
    idle = simulate(Layout(1, 4, 8), task_ms=1.0, spread=1.0, per_second=0.1, overhead_ms=3.0, queries=200, seed=1)
    assert idle.p50_ms == pytest.approx(8 / 4 * 1.0 + 3.0, rel=0.02)


def test_more_machines_wait_for_a_slower_slowest() -> None:
    def p50(machines: int) -> float:
        layout = Layout(machines, 4, 4)
        return simulate(layout, task_ms=1.0, spread=4.0, per_second=1.0, overhead_ms=0.0, queries=300, seed=1).p50_ms

    assert p50(1) < p50(8) < p50(64)


def test_a_queue_forms_as_the_cores_fill() -> None:
    def p99(per_second: float) -> float:
        layout = Layout(1, 2, 2)
        return simulate(
            layout, task_ms=1.0, spread=2.0, per_second=per_second, overhead_ms=0.0, queries=2000, seed=1
        ).p99_ms

    assert p99(10) < p99(600) < p99(950)


def test_the_share_of_time_that_cores_are_busy() -> None:
    latency = simulate(Layout(2, 4, 4), task_ms=1.0, spread=1.5, per_second=500, overhead_ms=0.0, queries=3000, seed=1)
    assert latency.busy == pytest.approx(0.5, rel=0.1)


def test_a_segment_that_is_twice_as_large_costs_one_step_of_the_logarithm() -> None:
    assert search_ms(COSTS, "HNSW", 160_000) == pytest.approx(0.7, rel=0.01)


def test_a_larger_segment_is_never_the_cheaper_one() -> None:
    noisy = [cost(20_000, 0.6), cost(40_000, 0.5), cost(80_000, 0.4)]
    assert search_ms(noisy, "HNSW", 320_000) == pytest.approx(0.6)


def test_a_plan_holds_what_it_must() -> None:
    given = Assumptions()
    found = plan(10_000_000, "HNSW", 1.0, COSTS, given)
    assert found is not None
    assert found.machines * given.memory_gb * given.memory_share >= found.memory_gb
    assert found.segments * found.rows_per_segment >= found.rows
    assert found.p99_ms <= given.p99_ms
    assert found.replicas >= 2


def test_a_demand_that_no_layout_meets_has_no_plan() -> None:
    assert plan(10_000_000, "HNSW", 1.0, COSTS, replace(Assumptions(), p99_ms=1.0)) is None


def test_twice_the_pictures_take_twice_the_gpus() -> None:
    given = Assumptions()
    assert encoding(2_000_000_000, given)["gpu_hours"] == pytest.approx(
        2 * encoding(10**9, given)["gpu_hours"], rel=0.01
    )


@pytest.mark.parametrize("index", ["HNSW", "HNSW_SQ8", "IVF_SQ8"])
def test_a_segment_is_measured_at_the_recall_that_it_names(index: str) -> None:
    measured = measure(index, 64, 2000)  # type: ignore[arg-type]
    assert measured.recall >= 0.95
    assert 64 <= measured.bytes_per_row < 1000
    assert measured.search_ms > 0


def test_the_document_has_the_figures_of_the_committed_run() -> None:
    report = json.loads((ROOT / "loadtests/results/plan_scale.json").read_text(encoding="utf-8"))
    assert read_figures(ROOT / "docs/scale.md", "plan_scale") == render(report).strip()
