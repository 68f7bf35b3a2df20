"""A simulation of an encoder deployment: batches, replicas that take time to start, and a policy that sees late.

Requests wait in one queue, in order: in Crossray they wait in the ingress until a replica can take them. A free replica
takes what waits, up to a batch, which takes a fixed time and a time for each token. Nothing is refused, so that who
scales too late pays for it in full.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deployments.service_rate import ServiceRate
from loadtests.scaling_traces import Floats, Trace


@dataclass(frozen=True, slots=True)
class Machine:
    """One replica, and what surrounds it. Seconds and tokens."""

    fixed_s: float = 0.06
    """Of every batch."""
    tokens_per_s: float = 20_000.0
    """Beyond that."""
    max_batch_size: int = 32
    max_batch_cost: int = 16_384
    start_s: float = 60.0
    start_spread_s: float = 0.0
    """Starts take longer than `start_s` by up to this, which the policy is not told."""
    control_s: float = 5.0
    """Between two decisions."""
    metric_delay_s: float = 1.0
    """A decision is carried out so long after what it was made from."""

    def batch_s(self, cost: float) -> float:
        return self.fixed_s + cost / self.tokens_per_s


@dataclass(frozen=True, slots=True)
class Observed:
    """What a policy is told at a decision."""

    now_s: float
    running: int
    ordered: int
    queued_cost: float
    ongoing: int
    """Requests that wait or run."""
    arriving_per_s: float
    """Cost, over the last `control_s`."""
    service_per_s: float | None


Policy = Callable[[Observed], int]


@dataclass
class Run:
    """What came of a simulation. The lists have a value for each decision."""

    latencies_s: Floats
    replica_s: float
    """Replicas times seconds, from the order of each to its end."""
    served_cost: float
    times_s: list[float] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    ordered: list[int] = field(default_factory=list)
    queued_cost: list[float] = field(default_factory=list)

    @property
    def gpu_hours(self) -> float:
        return self.replica_s / 3600

    def late_share(self, slo_s: float) -> float:
        return float(np.mean(self.latencies_s > slo_s)) if len(self.latencies_s) else 0.0

    def percentile_s(self, q: float) -> float:
        return float(np.percentile(self.latencies_s, q)) if len(self.latencies_s) else 0.0


class Fleet:
    """The replicas: who is free when, and what all of them have cost."""

    def __init__(self, machine: Machine, replicas: int, seed: int) -> None:
        self._machine = machine
        self._rng = np.random.default_rng(seed)
        self._numbers = 0
        self.free: list[tuple[float, int]] = [(0.0, self._next()) for _ in range(replicas)]
        """A heap: a replica that starts is free when it is ready."""
        self._ordered_at: dict[int, float] = {number: 0.0 for _, number in self.free}
        self._ready_at: dict[int, float] = {number: 0.0 for _, number in self.free}
        self.replica_s = 0.0

    def __len__(self) -> int:
        return len(self.free)

    def ready(self, now_s: float) -> int:
        return sum(at <= now_s for at in self._ready_at.values())

    def set(self, replicas: int, now_s: float) -> None:
        """Orders or ends. Those that start go first, the last ordered before all; then the longest idle."""
        while len(self.free) < replicas:
            number = self._next()
            ready = now_s + self._machine.start_s + self._rng.uniform(0, self._machine.start_spread_s)
            self._ordered_at[number], self._ready_at[number] = now_s, ready
            heapq.heappush(self.free, (ready, number))
        while len(self.free) > replicas:
            starting = [entry for entry in self.free if self._ready_at[entry[1]] > now_s]
            self._end(max(starting) if starting else self.free[0], now_s)

    def end_all(self, now_s: float) -> None:
        while self.free:
            self._end(self.free[0], now_s)

    def _end(self, entry: tuple[float, int], now_s: float) -> None:
        """A batch that runs is finished; a start is broken off."""
        free_at, number = entry
        self.free.remove(entry)
        heapq.heapify(self.free)
        busy = self._ready_at[number] <= now_s < free_at
        self.replica_s += (free_at if busy else now_s) - self._ordered_at.pop(number)
        del self._ready_at[number]

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers


def simulate(trace: Trace, machine: Machine, policy: Policy, *, first: int, seed: int = 1) -> Run:
    """Serves the whole trace. `first` replicas are ready at the start."""
    arrivals, before = trace.as_arrays()
    fleet = Fleet(machine, first, seed)
    rate = ServiceRate(machine.max_batch_size, machine.max_batch_cost)
    run = Run(np.empty(0), 0.0, before[-1])
    sizes: list[int] = []
    ends: list[float] = []
    under_way: list[tuple[float, int, float]] = []  # (end, requests, cost), of what may still run
    control_s, next_control, taken, count = machine.control_s, machine.control_s, 0, len(trace)

    def decide(now_s: float) -> None:
        nonlocal under_way
        under_way = [batch for batch in under_way if batch[0] > now_s]
        arrived = bisect_right(arrivals, now_s)
        lately = bisect_right(arrivals, now_s - control_s)
        queued = before[arrived] - before[taken] + sum(cost for _, _, cost in under_way)
        ongoing = arrived - taken + sum(items for _, items, _ in under_way)
        seen = Observed(
            now_s,
            fleet.ready(now_s),
            len(fleet),
            queued,
            ongoing,
            (before[arrived] - before[lately]) / control_s,
            rate.per_s(),
        )
        fleet.set(policy(seen), now_s + machine.metric_delay_s)
        run.times_s.append(now_s)
        run.running.append(seen.running)
        run.ordered.append(len(fleet))
        run.queued_cost.append(queued)

    while taken < count or next_control <= trace.length_s:
        start = max(fleet.free[0][0], arrivals[taken]) if taken < count and fleet.free else np.inf
        if next_control <= start:
            decide(next_control)
            next_control += control_s
            continue
        last = bisect_right(arrivals, start, taken, min(taken + machine.max_batch_size, count))
        last = bisect_right(before, before[taken] + machine.max_batch_cost, taken + 1, last + 1) - 1
        last = max(last, taken + 1)
        cost = before[last] - before[taken]
        seconds = machine.batch_s(cost)
        heapq.heapreplace(fleet.free, (start + seconds, fleet.free[0][1]))
        rate.batch(last - taken, cost, seconds)
        sizes.append(last - taken)
        ends.append(start + seconds)
        under_way.append((start + seconds, last - taken, cost))
        taken = last
    end = max(trace.length_s, ends[-1] if ends else 0.0)
    fleet.end_all(end)
    run.replica_s = fleet.replica_s
    run.latencies_s = np.repeat(np.array(ends), np.array(sizes, dtype=np.int64)) - trace.arrivals
    return run
