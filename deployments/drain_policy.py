"""How many replicas of an encoder there should be: enough for the work that arrives, and for the work that will still
wait when a replica ordered now is ready.

Work is counted in cost (visual and text tokens), because requests differ in it a hundredfold. A replica takes `start_s`
to be ready. So what is looked at is not the queue of now but the one at that time: a queue that is gone by then needs
nothing, and one that grows until then needs replicas at once. While they start, the forecast stays what it was, and
nothing is ordered twice.

A pure function of plain numbers: it knows neither Ray nor time. `deployments/autoscaling.py` calls it from Serve,
`loadtests/simulate_autoscaling.py` from a simulation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BROKEN_OFF_AFTER = 0.25
"""A replica that starts is given up when nothing wanted it for this share of a start: most of it is still to pay."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class DrainTargets:
    """What the replicas are to achieve."""

    min_replicas: int
    max_replicas: int
    start_s: float
    """From the order of a replica until it serves."""
    drain_s: float
    """What waits when ordered replicas are ready is to be gone after so long."""
    bulk_drain_s: float
    """Likewise of the bulk lane, from now on: nobody waits for it."""
    utilization: float
    """Share of what the replicas can do that arriving work may take; the rest is for its ups and downs."""
    shrink_after_s: float
    """Replicas go when fewer were enough for so long; those that still start, when so for a quarter of `start_s`."""

    def clamped(self, replicas: float) -> int:
        return max(self.min_replicas, min(self.max_replicas, math.ceil(replicas - _ROUNDING)))


@dataclass(frozen=True, slots=True)
class Load:
    """What is known at a moment. Costs are of all replicas and callers together."""

    now_s: float
    running: int
    """Replicas that serve."""
    ordered: int
    """Those and the ones that start: what was decided last."""
    queued: float
    """Cost of the interactive lane that waits or runs, at replicas, at handles and in callers."""
    queued_bulk: float
    arriving_per_s: float
    """Cost of the interactive lane that arrives."""
    service_per_s: float | None
    """Cost that one replica does with full batches; None while nothing was measured."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a decision leaves for the next one."""

    ordered_at_s: float = -math.inf
    """When replicas were last added."""
    wanted: tuple[tuple[float, int], ...] = ()
    """When how many were wanted, of the last `shrink_after_s`; each lower than the one before."""


def decide(targets: DrainTargets, load: Load, memory: Memory) -> tuple[int, Memory]:
    """The number of replicas to have ordered from now on, and what to remember.

    It grows at once. It shrinks to the most that was wanted lately, so that ups and downs do not show. Before anything
    was measured it stays, with one replica at the least where work waits.
    """
    if load.service_per_s is None:
        return targets.clamped(max(load.ordered, 1 if load.queued + load.queued_bulk > 0 else 0)), memory
    want = targets.clamped(needed(targets, load, memory))
    before = memory.wanted or ((load.now_s, load.ordered),)  # at first, what runs counts as wanted
    recent = [(at, count) for at, count in before if load.now_s - at < targets.shrink_after_s and count > want]
    wanted = (*recent, (load.now_s, want))
    lately = next(count for at, count in wanted if load.now_s - at < max(targets.start_s * BROKEN_OFF_AFTER, _ROUNDING))
    kept = min(load.ordered, wanted[0][1], max(load.running, lately))
    replicas = targets.clamped(max(want, kept))
    ordered_at_s = load.now_s if replicas > load.ordered else memory.ordered_at_s
    return replicas, Memory(ordered_at_s, wanted)


def needed(targets: DrainTargets, load: Load, memory: Memory) -> float:
    """Replicas, unrounded and unbounded, for a load of which the service rate is known."""
    assert load.service_per_s is not None
    rate = load.service_per_s
    steady = load.arriving_per_s / (rate * targets.utilization)
    growth_per_s = load.arriving_per_s - load.running * rate
    waiting = max(0.0, load.queued + growth_per_s * _ready_in_s(targets, load, memory))
    return steady + waiting / (rate * targets.drain_s) + load.queued_bulk / (rate * targets.bulk_drain_s)


def _ready_in_s(targets: DrainTargets, load: Load, memory: Memory) -> float:
    """Until the replicas that start are ready, or one would be that was ordered now."""
    if load.running >= load.ordered:
        return targets.start_s
    return min(max(memory.ordered_at_s + targets.start_s - load.now_s, 0.0), targets.start_s)
