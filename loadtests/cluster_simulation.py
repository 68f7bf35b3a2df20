"""A search over many segments on many machines, simulated: what it takes at the 50th and 99th percentile.

A query is sent to every machine of one replica at once; on each it is one task a segment, run on the machine's cores in
the order of arrival, and it has its answer when the last task on the slowest machine has ended (Dean and Barroso, The
Tail at Scale, 2013). Arrivals are Poisson; a task's time is log-normal around the measured mean, as wide as measured.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z99 = 2.3263
"""The 99th percentile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One replica: how many machines, their cores, and the segments on each."""

    machines: int
    cores: int
    segments_per_machine: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the gathered searches, in milliseconds, and the share of the cores' time that was used."""

    p50_ms: float
    p99_ms: float
    busy: float


def simulate(
    layout: Layout, *, task_ms: float, spread: float, per_second: float, overhead_ms: float, queries: int, seed: int
) -> Latency:
    """`spread` is a task's p99 over its mean; `overhead_ms` is added once a query (network, merge, payloads)."""
    random = np.random.default_rng(seed)
    arrivals_ms = np.cumsum(random.exponential(1e3 / per_second, queries))
    sigma = _sigma(spread)
    ends = np.zeros(queries)
    work_ms = 0.0
    for _ in range(layout.machines):
        shape = (queries, layout.segments_per_machine)
        tasks = task_ms * random.lognormal(-(sigma**2) / 2, sigma, shape)
        work_ms += float(tasks.sum())
        np.maximum(ends, _last_ends(arrivals_ms, tasks, layout.cores), out=ends)
    taken = ends - arrivals_ms + overhead_ms
    span_ms = float(ends.max() - arrivals_ms[0])
    p50, p99 = np.percentile(taken[queries // 10 :], [50, 99])  # the first find an empty cluster
    return Latency(float(p50), float(p99), work_ms / (span_ms * layout.machines * layout.cores))


def _last_ends(arrivals_ms: NDArray[np.float64], tasks_ms: NDArray[np.float64], cores: int) -> NDArray[np.float64]:
    """When the last task of each query ends on one machine: cores take tasks in the order of arrival."""
    free = [0.0] * cores
    ends = np.empty(len(arrivals_ms))
    for query, (arrival, tasks) in enumerate(zip(arrivals_ms.tolist(), tasks_ms.tolist(), strict=True)):
        last = arrival
        for task in tasks:
            end = max(arrival, free[0]) + task
            heapq.heapreplace(free, end)
            last = max(last, end)
        ends[query] = last
    return ends


def _sigma(spread: float) -> float:
    """Of the log-normal whose p99 is `spread` times its mean: sigma * Z99 - sigma**2 / 2 = log(spread)."""
    log = math.log(max(1.001, spread))
    inside = Z99**2 - 2 * log
    return Z99 - math.sqrt(inside) if inside > 0 else Z99
