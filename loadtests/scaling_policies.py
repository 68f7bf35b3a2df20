"""The policies that the simulation compares: ours and Serve's own, each the very code that runs in a cluster."""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployments.drain_policy import DrainTargets, Load, Memory, decide
from loadtests.scaling_simulation import Observed

UNUSED = (
    "deployment_id",
    "app_name",
    "running_replicas",
    "aggregated_metrics",
    "raw_metrics",
    "last_scale_up_time",
    "last_scale_down_time",
)
"""What a context has that the default policy does not look at."""


class DrainPolicy:
    """`deployments.drain_policy.decide`."""

    def __init__(self, targets: DrainTargets) -> None:
        self._targets = targets
        self._memory = Memory()

    def __call__(self, seen: Observed) -> int:
        load = Load(
            now_s=seen.now_s,
            running=seen.running,
            ordered=seen.ordered,
            queued=seen.queued_cost,
            queued_bulk=0.0,
            arriving_per_s=seen.arriving_per_s,
            service_per_s=seen.service_per_s,
        )
        replicas, self._memory = decide(self._targets, load, self._memory)
        return replicas


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What of Serve's default policy can be set (`ray.serve.config.AutoscalingConfig`)."""

    target_ongoing_requests: float
    upscale_delay_s: float
    downscale_delay_s: float
    upscaling_factor: float
    downscaling_factor: float
    look_back_period_s: float


class ServePolicy:
    """Serve's default (`ray.serve.autoscaling_policy`) as its controller calls it: through the wrapper that applies
    factors and delays, on the mean of the requests under way over the look-back period."""

    def __init__(self, options: ServeOptions, min_replicas: int, max_replicas: int, control_s: float) -> None:
        from ray.serve import autoscaling_policy as serve_policy
        from ray.serve.config import AutoscalingConfig

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._config = AutoscalingConfig(
                min_replicas=min_replicas,
                max_replicas=max_replicas,
                metrics_interval_s=control_s,
                target_ongoing_requests=options.target_ongoing_requests,
                upscale_delay_s=options.upscale_delay_s,
                downscale_delay_s=options.downscale_delay_s,
                upscaling_factor=options.upscaling_factor,
                downscaling_factor=options.downscaling_factor,
                look_back_period_s=options.look_back_period_s,
            )
        self._module: Any = serve_policy
        self._decide = serve_policy._apply_autoscaling_config(serve_policy.default_autoscaling_policy)
        self._seen: deque[tuple[float, int]] = deque()
        self._state: dict[str, Any] = {}

    def __call__(self, seen: Observed) -> int:
        from ray.serve.config import AutoscalingContext

        self._seen.append((seen.now_s, seen.ongoing))
        while self._seen[0][0] <= seen.now_s - self._config.look_back_period_s:
            self._seen.popleft()
        context: dict[str, Any] = dict.fromkeys(UNUSED)
        context |= {
            "deployment_name": "Encoder",
            "current_num_replicas": seen.running,
            "target_num_replicas": seen.ordered,
            "total_num_requests": sum(ongoing for _, ongoing in self._seen) / len(self._seen),
            "total_queued_requests": 0.0,
            "capacity_adjusted_min_replicas": self._config.min_replicas,
            "capacity_adjusted_max_replicas": self._config.max_replicas,
            "policy_state": self._state,
            "current_time": seen.now_s,
            "config": self._config,
        }
        with self._clock_at(seen.now_s):
            wanted, self._state = self._decide(AutoscalingContext(**context))
        return max(self._config.min_replicas, min(self._config.max_replicas, math.ceil(wanted)))

    @contextmanager
    def _clock_at(self, now_s: float) -> Iterator[None]:
        """Serve's delays are counted from the wall clock; here they are counted from the simulation's."""
        real = self._module.time
        self._module.time = _Clock(now_s)
        try:
            yield
        finally:
            self._module.time = real


@dataclass(frozen=True, slots=True)
class _Clock:
    now_s: float

    def time(self) -> float:
        return self.now_s


class Schedule:
    """What is known beforehand: how many replicas are to be ready in each control period."""

    def __init__(self, replicas: list[int], control_s: float) -> None:
        self._replicas = replicas
        self._control_s = control_s

    def __call__(self, seen: Observed) -> int:
        at = min(round(seen.now_s / self._control_s), len(self._replicas) - 1)
        return self._replicas[at]
