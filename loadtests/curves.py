"""How many users there are at each moment of a load test: constant, steps, a spike, a soak.

A curve is a function of the seconds since the start, the users at its highest and the seconds that the test lasts. It
knows nothing of locust, which patches the process that imports it; `loadtests/locustfile.py` joins the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

STEPS = 5
CALM_SHARE = 0.2
"""Of the users, before and after a spike."""
SPIKE = (0.4, 0.6)
"""When a spike begins and ends, as shares of the test."""
SOAK_RAMP_S, SOAK_RAMP_SHARE = 60.0, 0.1
"""A soak's users come one after the other: over a minute, and over a tenth of a short one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`lasts_s` is for who does not say how long; None is until somebody ends it."""

    users_at: Callable[[float, int, float], int]
    lasts_s: float | None
    says: str


def constant(at_s: float, users: int, lasts_s: float) -> int:
    return users


def steps(at_s: float, users: int, lasts_s: float) -> int:
    """Five equal steps up: at which of them does p99 leave its limit?"""
    step = min(int(at_s / lasts_s * STEPS), STEPS - 1)
    return math.ceil(users * (step + 1) / STEPS)


def spike(at_s: float, users: int, lasts_s: float) -> int:
    """A fifth of the users, all of them at once for a fifth of the time, and a fifth again: does it recover?"""
    begins, ends = SPIKE
    return users if begins <= at_s / lasts_s < ends else max(math.ceil(users * CALM_SHARE), 1)


def soak(at_s: float, users: int, lasts_s: float) -> int:
    """Up slowly, and then the same for long: does memory grow, does p99 creep?"""
    ramp_s = min(SOAK_RAMP_S, lasts_s * SOAK_RAMP_SHARE)
    return users if at_s >= ramp_s else max(math.ceil(users * at_s / ramp_s), 1)


CURVES = {
    "constant": Curve(constant, None, "all users from the start, until -t or Ctrl-C"),
    "steps": Curve(steps, 300.0, "five equal steps up to the users; 5 minutes unless -t says otherwise"),
    "spike": Curve(spike, 300.0, "a fifth of the users, in the middle fifth of the time all, then a fifth; 5 minutes"),
    "soak": Curve(soak, 3600.0, "up within a minute, then the same for long; an hour"),
}


def users_at(name: str, at_s: float, users: int, lasts_s: float | None) -> int | None:
    """Users at a moment of a test; None when it is over. `lasts_s` None is the curve's own time."""
    curve = CURVES[name]
    ends_s = lasts_s or curve.lasts_s or math.inf
    return None if at_s >= ends_s else curve.users_at(at_s, users, ends_s)
