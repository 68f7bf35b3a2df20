"""What one process did over the last minute, by a clock that the test moves."""

from __future__ import annotations

import pytest

from deployments.activity import WINDOW_S, Activity, Calls


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_older_than_the_window_is_forgotten() -> None:
    clock = Clock()
    activity = Activity(clock)
    activity.answered("search", 0.2)
    assert activity.window_s == 1, "no division by a moment"
    clock.now += 30
    activity.answered("search", 0.4)
    activity.answered("add_item", 1.0)
    activity.failed("add_item")
    assert activity.window_s == 30
    assert activity.calls() == [Calls("search", 2, 0, pytest.approx(0.3)), Calls("add_item", 1, 1, 1.0)]
    clock.now += 31
    assert activity.window_s == WINDOW_S
    assert [calls.answered for calls in activity.calls()] == [1, 1]
    clock.now += WINDOW_S
    assert activity.calls() == []


def test_cache_lookups_add_up() -> None:
    activity = Activity()
    assert activity.lookups() == {}
    for result, count in (("hit", 2), ("miss", 1), ("hit", 3)):
        activity.looked_up(result, count)
    assert activity.lookups() == {"hit": 5, "miss": 1}
