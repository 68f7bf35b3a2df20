"""Serve's side of `deployments/drain_policy.py`: from what replicas and handles reported to a number of replicas.

Reports come every `metrics_interval_s`, which is the control period, and hold the points since `look_back_period_s`.
Serve asks more often, and gets the same answer until the next report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from deployments.drain_policy import DrainTargets, Load, Memory, decide

Points: TypeAlias = Sequence[tuple[float, float]]
"""(time, value), in order."""
Reports: TypeAlias = Mapping[str, Mapping[Any, Points]]
"""By name and by replica."""


class EncoderPolicy:
    """What `AutoscalingPolicy(policy_function=…)` takes: a class, made once with its `policy_kwargs`."""

    def __init__(self, service_per_s: float | None = None, **targets: float) -> None:
        """`targets` are those of DrainTargets but for the bounds, which Serve knows. `service_per_s` takes the place of
        what the replicas measure."""
        self._service_per_s = service_per_s
        self._targets = DrainTargets(min_replicas=0, max_replicas=1, **targets)

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """`context` is Serve's AutoscalingContext. The state is kept by Serve, for this deployment alone."""
        targets = replace(
            self._targets,
            min_replicas=context.capacity_adjusted_min_replicas,
            max_replicas=context.capacity_adjusted_max_replicas,
        )
        reports = {
            name: {replica: [(point.timestamp, point.value) for point in series] for replica, series in by_one.items()}
            for name, by_one in (context.raw_metrics or {}).items()
        }
        load = load_of(
            reports,
            now_s=context.current_time,
            running=context.current_num_replicas,
            ordered=context.target_num_replicas,
            handle_calls=context.total_queued_requests or 0.0,
            over_s=context.config.metrics_interval_s,
        )
        if self._service_per_s is not None:
            load = replace(load, service_per_s=self._service_per_s)
        memory = context.policy_state.get("memory", Memory())
        replicas, memory = decide(targets, load, memory)
        return replicas, {"memory": memory}


def load_of(reports: Reports, *, now_s: float, running: int, ordered: int, handle_calls: float, over_s: float) -> Load:
    """The load of all replicas, of what waits at handles for one, and of what callers hold back.

    `reports` are what `LoadMeter.stats` answered at each replica. Rates are taken over the last `over_s`.
    """
    held, held_growth = _held(reports, "held:", over_s)
    held_bulk, _ = _held(reports, "held_bulk:", over_s)
    rates = _last(reports, "service_per_s")
    call_costs = _last(reports, "call_cost")
    at_handles = handle_calls * (sum(call_costs) / len(call_costs) if call_costs else 0.0)
    arriving = sum(_growth_per_s(points, over_s) for points in reports.get("arrived", {}).values())
    return Load(
        now_s=now_s,
        running=running,
        ordered=ordered,
        queued=sum(_last(reports, "queued")) + at_handles + held,
        queued_bulk=sum(_last(reports, "queued_bulk")) + held_bulk,
        arriving_per_s=max(arriving + held_growth, 0.0),
        service_per_s=sum(rates) / len(rates) if rates else None,
    )


def _last(reports: Reports, name: str) -> list[float]:
    return [points[-1][1] for points in reports.get(name, {}).values() if points]


def _held(reports: Reports, prefix: str, over_s: float) -> tuple[float, float]:
    """What all callers hold back, and its growth a second. Several replicas hear of the same caller at different times:
    its own clock says what came last."""
    total = growth = 0.0
    for name in [name for name in reports if name.startswith(prefix)]:
        sent = reports.get("sent_at:" + name.removeprefix(prefix), {})
        heard = sorted(
            (sent_at, value)
            for replica, points in reports[name].items()
            for (_, sent_at), (_, value) in zip(sent.get(replica, ()), points, strict=False)
        )
        if heard:
            total += heard[-1][1]
            growth += _growth_per_s(heard, over_s)
    return total, growth


def _growth_per_s(points: Points, over_s: float) -> float:
    """From the point `over_s` before the last one, or the first after that."""
    if len(points) < 2:
        return 0.0
    end, last = points[-1]
    start, first = next((at, value) for at, value in points if at >= end - over_s - 1e-3)
    return (last - first) / (end - start) if end > start else 0.0
