"""The simulation of autoscaling: what must hold of it whatever the policy."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from deployments.drain_policy import DrainTargets
from loadtests.report import ROOT, read_figures
from loadtests.scaling_oracle import find_oracle, fluid_hours, full_rate
from loadtests.scaling_policies import DrainPolicy, Schedule
from loadtests.scaling_simulation import Machine, Observed, simulate
from loadtests.scaling_traces import Trace, day, steps
from loadtests.simulate_autoscaling import render, targets

MACHINE = Machine(start_s=20.0)
TARGETS = DrainTargets(
    min_replicas=1, max_replicas=9, start_s=20.0, drain_s=4.0, bulk_drain_s=60.0, utilization=0.9, shrink_after_s=60.0
)


def test_the_document_has_the_figures_of_the_committed_run() -> None:
    report = json.loads((ROOT / "loadtests/results/simulate_autoscaling.json").read_text(encoding="utf-8"))
    assert read_figures(ROOT / "docs/autoscaling.md", "simulate_autoscaling") == render(report).strip()
    assert report["targets"] == asdict(targets()), "they are the settings' defaults of now"


def test_the_same_seed_is_the_same_trace() -> None:
    one, same, other = (day(seed, 40.0, from_h=8, to_h=8.2) for seed in (3, 3, 4))
    assert np.array_equal(one.arrivals, same.arrivals)
    assert np.array_equal(one.costs, same.costs)
    assert len(one) != len(other)
    assert np.all(np.diff(one.arrivals) >= 0)
    assert 0.7 < len(one) / (40 * 0.6 * one.length_s) < 1.3


def test_requests_are_served_once_in_order_and_none_before_it_arrived() -> None:
    trace = steps("step", 1, [(60.0, 20.0), (60.0, 90.0)])
    run = simulate(trace, MACHINE, DrainPolicy(TARGETS), first=2)
    assert len(run.latencies_s) == len(trace)
    alone_s = MACHINE.batch_s(0) + trace.costs / MACHINE.tokens_per_s
    assert np.all(run.latencies_s >= alone_s - 1e-9)
    ends = trace.arrivals + run.latencies_s
    assert np.all(run.queued_cost[-1] >= 0)
    assert np.max(ends) < trace.length_s + 60


def test_one_replica_does_what_the_batches_say() -> None:
    """A hundred equal requests at once: full batches, one after the other."""
    trace = Trace("burst", np.zeros(100), np.full(100, 100.0), 30.0)
    machine = Machine(fixed_s=0.5, tokens_per_s=1000.0, max_batch_size=8, max_batch_cost=500)
    run = simulate(trace, machine, lambda seen: 1, first=1)
    assert run.latencies_s == pytest.approx(np.repeat(np.arange(1, 21), 5))
    assert run.replica_s == pytest.approx(30.0)


def test_replica_hours_are_counted_from_the_order_to_the_end() -> None:
    def policy(seen: Observed) -> int:
        return 3 if 10 <= seen.now_s < 50 else 1

    machine = Machine(start_s=20.0, metric_delay_s=1.0, control_s=5.0)
    run = simulate(steps("quiet", 1, [(100.0, 0.5)]), machine, policy, first=1)
    assert run.replica_s == pytest.approx(100 + 2 * 40, abs=2)
    serving = dict(zip(run.times_s, run.running, strict=True))
    assert (serving[30.0], serving[35.0], serving[55.0]) == (1, 3, 1), "ready a start after the order was carried out"


def test_a_start_that_is_broken_off_never_serves() -> None:
    run = simulate(steps("quiet", 1, [(60.0, 0.5)]), MACHINE, lambda seen: 4 if seen.now_s == 10 else 1, first=1)
    assert max(run.running) == 1
    assert run.replica_s == pytest.approx(60 + 3 * 5, abs=1)


def test_nothing_is_cheaper_than_the_work_and_the_oracle_is_in_time() -> None:
    trace = day(2, 150.0, from_h=8, to_h=8.15)
    oracle = find_oracle(trace, MACHINE, slo_s=2.0, late=0.01, most=9)
    assert oracle.run.late_share(2.0) <= 0.01
    ours = simulate(trace, MACHINE, DrainPolicy(TARGETS), first=4)
    assert fluid_hours(trace, MACHINE) < oracle.run.gpu_hours < ours.gpu_hours


def test_a_schedule_is_followed_by_the_period() -> None:
    run = simulate(steps("quiet", 1, [(30.0, 1.0)]), MACHINE, Schedule([1, 1, 2, 2, 1, 1, 1], 5.0), first=1)
    assert run.ordered == [1, 2, 2, 1, 1, 1]
    assert full_rate(Trace("x", np.zeros(1), np.full(1, 1e6), 1.0), MACHINE) < MACHINE.tokens_per_s
