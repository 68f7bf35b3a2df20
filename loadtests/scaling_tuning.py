"""Serve's default policy at its best: its options searched on a day of their own, once for cost and once for speed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from loadtests.scaling_policies import ServeOptions, ServePolicy
from loadtests.scaling_simulation import Machine, Run, simulate
from loadtests.scaling_traces import Trace

GRID: dict[str, tuple[float, ...]] = {
    "target_ongoing_requests": (4, 7, 10, 12, 14, 16, 18, 20),
    "upscale_delay_s": (0, 15, 30),
    "downscale_delay_s": (120, 300, 600),
    "upscaling_factor": (0.1, 0.3, 1),
    "downscaling_factor": (0.1, 0.3, 1),
    "look_back_period_s": (10, 30),
}
SERVE_DEFAULTS = ServeOptions(2, 30, 600, 1, 1, 30)
"""As they come (`ray.serve.config.AutoscalingConfig`)."""
FINALISTS = 8


@dataclass(frozen=True, slots=True)
class Tuned:
    """The options that came out best for each purpose, and how many were tried."""

    for_cost: ServeOptions
    for_spikes: ServeOptions
    tried: int


def draw(count: int) -> list[ServeOptions]:
    """So many different options of the grid, always the same."""
    every = list(itertools.product(*GRID.values()))
    return [ServeOptions(*values) for values in random.Random(0).sample(every, count)]


def tune(
    part: Trace,
    whole: Trace,
    machine: Machine,
    *,
    count: int,
    most: int,
    is_in_time: Callable[[Run], bool],
    drained_s: Callable[[ServeOptions], float],
) -> Tuned:
    """Of `count` options, those in time on a part of a day; of them the cheapest on the whole day, and the one that
    drains a spike first."""

    def run(trace: Trace, options: ServeOptions) -> Run:
        return simulate(trace, machine, ServePolicy(options, 1, most, machine.control_s), first=3)

    runs = [(run(part, options), options) for options in draw(count)]
    good = sorted(((one.replica_s, at) for at, (one, _) in enumerate(runs) if is_in_time(one)))
    finals = [(run(whole, runs[at][1]), runs[at][1]) for _, at in good[:FINALISTS]]
    cheapest = min(finals, key=lambda pair: (not is_in_time(pair[0]), pair[0].replica_s))[1]
    fastest = min(good, key=lambda pair: (drained_s(runs[pair[1]][1]), pair[0]))[1]
    return Tuned(cheapest, runs[fastest][1], count)
