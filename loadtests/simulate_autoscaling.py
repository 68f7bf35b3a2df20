"""Autoscaling of the encoder on made-up traffic: our policy, Serve's default tuned, and who knows the future.

    python -m loadtests.simulate_autoscaling --output loadtests/results/simulate_autoscaling.json \\
        --plots docs/plots --doc docs/autoscaling.md

Both policies are the code that runs in a cluster. Serve's options are tuned on a day (seed 11) that is not among those
that are reported. Simulated, on no GPU: what it says depends on the model in `loadtests/scaling_simulation.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cluster.scaling_settings import DrainSettings
from cluster.section import ScaleSettings
from deployments.drain_policy import DrainTargets
from loadtests.report import circumstances, markdown, write_figures, write_report
from loadtests.scaling_oracle import find_oracle, fluid_hours, full_rate
from loadtests.scaling_plots import plot_runs
from loadtests.scaling_policies import DrainPolicy, ServeOptions, ServePolicy
from loadtests.scaling_simulation import Machine, Policy, Run, simulate
from loadtests.scaling_traces import Trace, day, steps
from loadtests.scaling_tuning import SERVE_DEFAULTS, Tuned, tune

MACHINE = Machine()
MOST = 32
PEAK_PER_S = 200.0
SLO_S, LATE = 2.0, 0.01
TUNING_SEED, DAY_SEEDS, SPIKE_SEEDS = 11, (21, 22), (31, 32, 33)
HOURS_RATIO = 1.3
BEFORE, BURST, BURST_S, BURST_AT_S, AFTER_S = 1.4, 8.0, 20.0, 600.0, 600.0
"""A spike: replicas' worth of work that arrives before and after it, and on top of that for `BURST_S`."""
OURS, ORACLE, FOR_COST, FOR_SPIKES, UNTUNED = (
    "Crossray",
    "knows the future",
    "Serve's default, tuned for cost",
    "Serve's default, tuned for spikes",
    "Serve's default",
)
Make = Callable[[], Policy]


def targets(machine: Machine = MACHINE) -> DrainTargets:
    """The settings' defaults, with the start time that a replica is said to take here."""
    drain = DrainSettings().policy_kwargs(ScaleSettings().shrink_after_s)
    del drain["service_per_s"]
    return DrainTargets(min_replicas=1, max_replicas=MOST, **drain | {"start_s": machine.start_s})


def serve(options: ServeOptions) -> Make:
    return lambda: ServePolicy(options, 1, MOST, MACHINE.control_s)


def is_in_time(run: Run) -> bool:
    return run.late_share(SLO_S) <= LATE


def spike(seed: int, *, lasts_s: float = BURST_S, height: float = BURST) -> Trace:
    one = steps("sample", seed, [(600.0, 100.0)])
    per_replica = full_rate(one, MACHINE) / float(one.costs.mean())
    base = BEFORE * per_replica
    parts = [(BURST_AT_S, base), (lasts_s, base + height * per_replica), (AFTER_S, base)]
    return steps("spike", seed, parts)


def drained_s(run: Run) -> float:
    """From the beginning of the spike until no more waits than a batch for each replica, and so for half a minute."""
    calm = 30 / MACHINE.control_s
    since = 0
    for at, running, queued in zip(run.times_s, run.running, run.queued_cost, strict=True):
        if at <= BURST_AT_S + MACHINE.control_s:
            continue
        since = since + 1 if queued <= running * MACHINE.max_batch_cost else 0
        if since > calm:
            return at - since * MACHINE.control_s + MACHINE.control_s - BURST_AT_S
    return float("inf")


def row(scenario: str, seed: int, name: str, run: Run, **more: Any) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "seed": seed,
        "policy": name,
        "late": round(run.late_share(SLO_S), 5),
        "p99_s": round(run.percentile_s(99), 2),
        "replica_hours": round(run.gpu_hours, 2),
        "most_replicas": max(run.ordered),
        **more,
    }


def simulate_days(policies: Mapping[str, Make], plots: Path | None) -> list[dict[str, Any]]:
    rows = []
    for seed in DAY_SEEDS:
        trace = day(seed, PEAK_PER_S)
        oracle = find_oracle(trace, MACHINE, slo_s=SLO_S, late=LATE, most=MOST).run
        runs = {name: simulate(trace, MACHINE, make(), first=2) for name, make in policies.items()} | {ORACLE: oracle}
        bound = fluid_hours(trace, MACHINE)
        for name, run in runs.items():
            ratios = {"to_oracle": run.gpu_hours / oracle.gpu_hours, "to_bound": run.gpu_hours / bound}
            rows.append(row("day", seed, name, run, **{key: round(value, 3) for key, value in ratios.items()}))
            print(rows[-1], flush=True)
        if plots is not None and seed == DAY_SEEDS[0]:
            shown = {name: runs[name] for name in (OURS, ORACLE, FOR_COST)}
            plot_runs(plots / "autoscaling-day.png", "A day", trace, shown, MACHINE, bin_s=300)
    return rows


def simulate_spikes(policies: Mapping[str, Make], plots: Path | None) -> list[dict[str, Any]]:
    rows = []
    for seed in SPIKE_SEEDS:
        trace = spike(seed)
        runs = {name: simulate(trace, MACHINE, make(), first=2) for name, make in policies.items()}
        rows += [row("spike", seed, name, run, drained_s=drained_s(run)) for name, run in runs.items()]
        if plots is not None and seed == SPIKE_SEEDS[0]:
            shown = {name: runs[name] for name in (OURS, FOR_COST, FOR_SPIKES)}
            plot_runs(plots / "autoscaling-spike.png", "A spike", trace, shown, MACHINE, bin_s=10)
    return rows


def simulate_slow_starts(policies: Mapping[str, Make]) -> list[dict[str, Any]]:
    """Starts take up to twice as long as the policy is told."""
    slow = replace(MACHINE, start_spread_s=MACHINE.start_s)
    seed = DAY_SEEDS[0]
    trace = day(seed, PEAK_PER_S, from_h=5, to_h=9)
    return [row("slow starts", seed, name, simulate(trace, slow, make(), first=3)) for name, make in policies.items()]


def verdicts(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Which targets were met, on every seed."""

    def by_seed(scenario: str, name: str) -> dict[int, dict[str, Any]]:
        return {one["seed"]: one for one in rows if one["scenario"] == scenario and one["policy"] == name}

    days, spikes = by_seed("day", OURS), by_seed("spike", OURS)
    limit_s = MACHINE.start_s + 2 * MACHINE.control_s
    met = {
        f"spike: drained within {limit_s:g} s": all(one["drained_s"] <= limit_s for one in spikes.values()),
        f"day: at most {LATE:.0%} over {SLO_S:g} s": all(one["late"] <= LATE for one in days.values()),
        f"day: at most {HOURS_RATIO} times the oracle's hours": all(
            one["to_oracle"] <= HOURS_RATIO for one in days.values()
        ),
    }
    for name in (FOR_COST, FOR_SPIKES):
        theirs, their_spikes = by_seed("day", name), by_seed("spike", name)
        met[f"day: cheaper than {name}"] = all(
            one["replica_hours"] < theirs[seed]["replica_hours"] for seed, one in days.items()
        )
        met[f"spike: drained before {name}"] = all(
            one["drained_s"] < their_spikes[seed]["drained_s"] for seed, one in spikes.items()
        )
    return met


def render(report: dict[str, Any]) -> str:
    lines = [f"Command: `{report['command']}`, commit `{report['commit']}`, {report['date'][:10]}.", ""]
    met = [{"target": name, "met": "yes" if value else "**no**"} for name, value in report["targets_met"].items()]
    lines += markdown("Targets", met)
    for scenario in ("day", "spike", "slow starts"):
        some = [one for one in report["runs"] if one["scenario"] == scenario]
        lines += markdown(scenario.capitalize(), some, tuple(some[0])[1:])
    options = [{"tuned for": name, **report["tuned"][name]} for name in ("for_cost", "for_spikes")]
    lines += markdown(f"Serve's options, of {report['tuned']['tried']} tried", options)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="where to write the JSON")
    parser.add_argument("--plots", type=Path, help="a folder for the plots")
    parser.add_argument("--doc", type=Path, help="a document whose figures to write")
    parser.add_argument("--tried", type=int, default=100, help="options of Serve's to try [100]")
    arguments = parser.parse_args()
    begun = circumstances()
    tuning = spike(TUNING_SEED)
    tuned: Tuned = tune(
        day(TUNING_SEED, PEAK_PER_S, from_h=5, to_h=9),
        day(TUNING_SEED, PEAK_PER_S),
        MACHINE,
        count=arguments.tried,
        most=MOST,
        is_in_time=is_in_time,
        drained_s=lambda options: drained_s(simulate(tuning, MACHINE, serve(options)(), first=2)),
    )
    print(tuned, flush=True)
    policies: dict[str, Make] = {
        OURS: lambda: DrainPolicy(targets()),
        FOR_COST: serve(tuned.for_cost),
        FOR_SPIKES: serve(tuned.for_spikes),
        UNTUNED: serve(SERVE_DEFAULTS),
    }
    rows = simulate_days(policies, arguments.plots)
    rows += simulate_spikes(policies, arguments.plots)
    rows += simulate_slow_starts(policies)
    sections = {
        "targets_met": verdicts(rows),
        "machine": asdict(MACHINE),
        "targets": asdict(targets()),
        "tuned": asdict(tuned),
        "runs": rows,
    }
    with tempfile.TemporaryDirectory() as folder:
        output = arguments.output or Path(folder) / "simulation.json"
        write_report(output, sections, begun)
        text = render(json.loads(output.read_text(encoding="utf-8")))
    print(text)
    if arguments.doc is not None:
        write_figures(arguments.doc, "simulate_autoscaling", text)


if __name__ == "__main__":
    main()
