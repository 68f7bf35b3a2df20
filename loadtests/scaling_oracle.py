"""Who knows the future: the fewest replica hours by which a trace can be served in time.

The replicas that each control period needs follow from the work that will arrive in it. One is ordered a start before
it is needed, and kept through a gap that is shorter than a start: with the needs given, nothing cheaper serves them.
How many a period needs is searched: its work over what a replica can do, times a factor, less what may be rounded down,
with both chosen so that the whole day costs the least and one request in a hundred is late. It is simulated like every
policy. Another schedule may be cheaper yet: `fluid_hours` bounds how much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from loadtests.scaling_policies import Schedule
from loadtests.scaling_simulation import Machine, Run, simulate
from loadtests.scaling_traces import Floats, Trace

FACTORS = (0.98, 1.0)
ROUNDED_DOWN = (0.0, 0.2, 0.4, 0.6)


@dataclass(frozen=True, slots=True)
class Oracle:
    """The cheapest schedule that was found."""

    run: Run
    factor: float
    rounded_down: float


def full_rate(trace: Trace, machine: Machine) -> float:
    """Tokens a second that a replica does at the most: with full batches."""
    cost = min(float(trace.costs.mean()) * machine.max_batch_size, machine.max_batch_cost)
    return cost / machine.batch_s(cost)


def fluid_hours(trace: Trace, machine: Machine) -> float:
    """Replica hours below which nothing can be: the work alone, done by fractions of replicas that start in no time."""
    return float(trace.costs.sum()) / full_rate(trace, machine) / 3600


def find_oracle(trace: Trace, machine: Machine, *, slo_s: float, late: float, most: int) -> Oracle:
    """Raises ValueError where even the dearest schedule that is tried is late too often."""
    offered = _offered(trace, machine)
    best: Oracle | None = None
    for factor in FACTORS:
        for down in ROUNDED_DOWN:
            needs = [max(1, min(most, math.ceil(factor * load - down))) for load in offered]
            orders = _orders(needs, machine)
            run = simulate(trace, machine, Schedule(orders, machine.control_s), first=orders[0])
            if run.late_share(slo_s) <= late and (best is None or run.replica_s < best.run.replica_s):
                best = Oracle(run, factor, down)
    if best is None:
        raise ValueError(f"no schedule keeps {1 - late:.0%} of {trace.name} within {slo_s} s")
    return best


def _offered(trace: Trace, machine: Machine) -> Floats:
    """Replicas' worth of work that arrives in each control period."""
    periods = math.ceil(trace.length_s / machine.control_s)
    work = np.bincount((trace.arrivals / machine.control_s).astype(int), trace.costs, minlength=periods)[:periods]
    return np.asarray(work / machine.control_s / full_rate(trace, machine))


def _orders(needs: list[int], machine: Machine) -> list[int]:
    ahead = math.ceil((machine.start_s + machine.metric_delay_s) / machine.control_s) + 1
    return [max(needs[at : at + ahead]) for at in range(len(needs))]
