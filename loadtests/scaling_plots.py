"""Plots of simulated autoscaling: replicas, what waits, p99 and replica hours over time, one line a policy."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.scaling_simulation import Machine, Run
from loadtests.scaling_traces import Trace

COLOURS = ("#0072B2", "#D55E00", "#CC79A7", "#009E73")
"""Okabe and Ito's, which colour-blind readers can tell apart."""


def plot_runs(path: Path, title: str, trace: Trace, runs: Mapping[str, Run], machine: Machine, *, bin_s: float) -> None:
    """A PNG of four plots above one another. `bin_s` is what a p99 is taken over."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 1, figsize=(10, 11), sharex=True, constrained_layout=True)
    unit, scale = ("hours", 3600.0) if trace.length_s > 7200 else ("seconds", 1.0)
    for (name, run), colour in zip(runs.items(), COLOURS, strict=False):
        times = np.array(run.times_s) / scale
        axes[0].step(times, run.ordered, where="post", label=name, color=colour, linewidth=1)
        axes[1].plot(times, np.array(run.queued_cost) / machine.tokens_per_s, color=colour, linewidth=0.8)
        axes[2].plot(*_p99(trace, run, bin_s, scale), color=colour, linewidth=0.9)
        spent = np.cumsum(run.ordered) * machine.control_s / 3600
        axes[3].plot(times, spent, color=colour, linewidth=1)
    labels = ("replicas ordered", "waiting or running,\nseconds of one replica", "p99 latency, s", "replica hours")
    for axis, label in zip(axes, labels, strict=True):
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    for axis in axes[1:3]:
        axis.set_yscale("log")
    axes[0].legend(loc="upper left", fontsize=8)
    axes[3].set_xlabel(unit)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _p99(trace: Trace, run: Run, bin_s: float, scale: float) -> tuple[Any, Any]:
    edges = np.searchsorted(trace.arrivals, np.arange(0, trace.length_s + bin_s, bin_s))
    values = [
        float(np.percentile(run.latencies_s[start:end], 99)) if end > start else np.nan
        for start, end in pairwise(edges)
    ]
    return np.arange(len(values)) * bin_s / scale, values
