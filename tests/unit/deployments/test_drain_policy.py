"""How many replicas there should be: what holds for every load, and a few loads by hand."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.drain_policy import DrainTargets, Load, Memory, decide, needed

TARGETS = DrainTargets(
    min_replicas=1, max_replicas=20, start_s=60, drain_s=4, bulk_drain_s=120, utilization=0.8, shrink_after_s=100
)
RATE = 1000.0
"""Cost a second that one replica does."""
CONTROL_S = 5.0

costs = st.floats(0, 1e7)
targets = st.builds(
    lambda least, more, **others: DrainTargets(min_replicas=least, max_replicas=least + more, **others),
    st.integers(0, 4),
    st.integers(1, 30),
    start_s=st.floats(0, 300),
    drain_s=st.floats(0.5, 60),
    bulk_drain_s=st.floats(1, 600),
    utilization=st.floats(0.1, 1),
    shrink_after_s=st.floats(0, 600),
)
loads = st.builds(
    Load,
    now_s=st.floats(0, 1e6),
    running=st.integers(0, 40),
    ordered=st.integers(0, 40),
    queued=costs,
    queued_bulk=costs,
    arriving_per_s=st.floats(0, 1e6),
    service_per_s=st.one_of(st.none(), st.floats(0.1, 1e6)),
)


def load(**values: float) -> Load:
    quiet = Load(0.0, running=4, ordered=4, queued=0.0, queued_bulk=0.0, arriving_per_s=0.0, service_per_s=RATE)
    return replace(quiet, **values)  # type: ignore[arg-type]


@given(targets, loads, st.floats(-1e6, 1e6))
def test_it_keeps_within_its_bounds(targets: DrainTargets, load: Load, ordered_at_s: float) -> None:
    replicas, _ = decide(targets, load, Memory(ordered_at_s))
    assert targets.min_replicas <= replicas <= targets.max_replicas


@given(targets, loads, st.sampled_from(["queued", "queued_bulk", "arriving_per_s"]), st.floats(0, 1e6))
def test_more_work_never_means_fewer_replicas(targets: DrainTargets, load: Load, name: str, more: float) -> None:
    heavier = replace(load, **{name: getattr(load, name) + more})
    assert decide(targets, heavier, Memory())[0] >= decide(targets, load, Memory())[0]


@given(targets, loads)
def test_a_faster_replica_never_means_more_of_them(targets: DrainTargets, load: Load) -> None:
    if load.service_per_s is not None:
        faster = replace(load, service_per_s=2 * load.service_per_s)
        assert decide(targets, faster, Memory())[0] <= decide(targets, load, Memory())[0]


@settings(max_examples=50)
@given(targets, st.floats(0, 2e4), st.integers(1, 40), st.randoms(use_true_random=False))
def test_a_constant_load_is_not_followed_up_and_down(
    targets: DrainTargets, rate: float, first: int, rng: object
) -> None:
    """After it has settled, noise of 5 % about the same rate moves it in one direction at the most."""
    shrinking = replace(targets, shrink_after_s=200.0, start_s=10.0)
    ordered, memory, seen = shrinking.clamped(first), Memory(), []
    for step in range(200):
        noisy = rate * (1 + 0.05 * math.sin(step * 1.7))
        now = load(now_s=step * CONTROL_S, running=ordered, ordered=ordered, arriving_per_s=noisy, queued=0.02 * rate)
        ordered, memory = decide(shrinking, now, memory)
        seen.append(ordered)
    settled = seen[80:]
    assert len(set(settled)) == 1


def test_arriving_work_and_a_queue_that_outlasts_a_start_need_replicas() -> None:
    assert needed(TARGETS, load(arriving_per_s=3200), Memory()) == 4
    four_s_late = load(arriving_per_s=3200, queued=4000 * 12.0 + 4000 * 4, running=4)
    # In the 60 s of a start the four do 800 a second more than arrives: 16000 of it are left, and 4 s are for those.
    assert needed(TARGETS, four_s_late, Memory()) == 4 + 16000 / (RATE * 4)


def test_a_queue_that_is_gone_before_a_replica_is_ready_needs_none() -> None:
    assert needed(TARGETS, load(queued=100_000, arriving_per_s=1000), Memory()) == 1000 / (RATE * 0.8)


def test_replicas_that_start_are_not_ordered_again_while_the_queue_grows() -> None:
    """A step to twice what runs: the queue grows until the new replicas serve, and the order stays what it was."""
    ordered, memory, queued, orders = 4, Memory(), 0.0, []
    for step in range(12):
        queued = step * CONTROL_S * 4000
        now = load(now_s=step * CONTROL_S, ordered=ordered, queued=queued, arriving_per_s=8000)
        ordered, memory = decide(replace(TARGETS, max_replicas=1000), now, memory)
        orders.append(ordered)
    assert set(orders) == {orders[0]}
    assert orders[0] == 10 + 4000 * 60 / (RATE * 4)


def test_it_shrinks_to_the_most_that_was_wanted_lately() -> None:
    """With replicas that start in no time, so that no growth is looked ahead for."""
    targets = replace(TARGETS, start_s=0.0)
    memory, seen = Memory(), []
    wants = [8] + [6] * 10 + [2] * 40
    ordered = 4
    for step, want in enumerate(wants):
        now = load(now_s=step * CONTROL_S, running=ordered, ordered=ordered, arriving_per_s=want * RATE * 0.8)
        ordered, memory = decide(targets, now, memory)
        seen.append(ordered)
    kept = int(TARGETS.shrink_after_s / CONTROL_S)
    assert seen == [8] * kept + [6] * 10 + [2] * (len(wants) - kept - 10)


def test_a_start_that_nobody_wants_any_more_is_broken_off() -> None:
    ordered, memory = decide(TARGETS, load(arriving_per_s=8000), Memory())
    assert ordered == 20
    for at in (5.0, 10.0):
        ordered, memory = decide(TARGETS, load(now_s=at, ordered=ordered, arriving_per_s=800), memory)
        assert ordered == 20, "it may be wanted again"
    ordered, memory = decide(TARGETS, load(now_s=15.0, ordered=ordered, arriving_per_s=800), memory)
    assert ordered == 4, "those that run are kept"


def test_the_bulk_lane_has_more_time() -> None:
    assert needed(TARGETS, load(queued_bulk=240_000), Memory()) == 2


def test_before_anything_was_measured_it_stays() -> None:
    unknown = load(service_per_s=None, ordered=3, queued=1e6, arriving_per_s=1e6)  # type: ignore[arg-type]
    assert decide(TARGETS, unknown, Memory())[0] == 3
    asleep = replace(TARGETS, min_replicas=0)
    assert decide(asleep, replace(unknown, ordered=0), Memory())[0] == 1
    assert decide(asleep, replace(unknown, ordered=0, queued=0.0), Memory())[0] == 0
