"""The shapes of load tests: how many users at which moment."""

from __future__ import annotations

import pytest

from loadtests.curves import CURVES, users_at


def at(name: str, *seconds: float, users: int = 100, lasts_s: float | None = 100.0) -> list[int | None]:
    return [users_at(name, one, users, lasts_s) for one in seconds]


def test_constant_is_constant_and_endless_unless_told() -> None:
    assert at("constant", 0, 50, 99.9, 100) == [100, 100, 100, None]
    assert at("constant", 0, 1e9, lasts_s=None) == [100, 100]


def test_steps_go_up_by_fifths() -> None:
    assert at("steps", 0, 19.9, 20, 40, 60, 80, 99.9, 100) == [20, 20, 40, 60, 80, 100, 100, None]
    assert at("steps", 0, 25, 45, 65, 85, users=3) == [1, 2, 2, 3, 3]


def test_a_spike_comes_and_goes() -> None:
    assert at("spike", 0, 39.9, 40, 59.9, 60, 99.9, 100) == [20, 20, 100, 100, 20, 20, None]


def test_a_soak_goes_up_slowly_once_and_stays() -> None:
    assert at("soak", 0, 5, 10, 99) == [1, 50, 100, 100]
    assert at("soak", 30, 60, 3599, 3600, lasts_s=None) == [50, 100, 100, None]


@pytest.mark.parametrize("name", list(CURVES))
@pytest.mark.parametrize("users", [1, 2, 7])
@pytest.mark.parametrize("lasts_s", [1.0, 33.3, None])
def test_there_is_somebody_and_never_too_many(name: str, users: int, lasts_s: float | None) -> None:
    ends_s = lasts_s or CURVES[name].lasts_s or 1000.0
    seen = [users_at(name, ends_s * share / 200, users, lasts_s) for share in range(200)]
    assert all(one is not None and 1 <= one <= users for one in seen)
    assert max(one or 0 for one in seen) == users
