"""Laps that sum to the total, and what another process measured inside one."""

from __future__ import annotations

import pytest

from deployments.stages import Stages


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_laps_sum_to_the_total() -> None:
    clock = Clock()
    stages = Stages(clock)
    clock.now += 0.25
    stages.lap("read")
    clock.now += 1.0
    stages.split({"encode": 0.5, "encode_queue": 0.25}, rest="encode_call")
    clock.now += 0.5
    stages.lap("read")
    assert stages.laps_s() == {"read": 0.75, "encode": 0.5, "encode_queue": 0.25, "encode_call": 0.25}
    assert sum(stages.laps_s().values()) == pytest.approx(stages.total_s)
    assert stages.server_timing() == (
        "read;dur=750.0, encode;dur=500.0, encode_queue;dur=250.0, encode_call;dur=250.0, total;dur=1750.0"
    )


def test_parts_longer_than_the_lap_are_scaled_to_it() -> None:
    clock = Clock()
    stages = Stages(clock)
    clock.now += 1.0
    stages.split({"a": 1.5, "b": 0.5}, rest="call")
    assert stages.laps_s() == {"a": 0.75, "b": 0.25, "call": 0.0}
