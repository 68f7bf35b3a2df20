"""From what a replica measures to what the policy sees: the service rate, the meter, the reports, Serve's context."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.autoscaling import EncoderPolicy, load_of
from deployments.batch_queue import BatchLimits, BatchQueue
from deployments.load_meter import Held, LoadMeter
from deployments.service_rate import ServiceRate

TARGETS = {"start_s": 10.0, "drain_s": 4.0, "bulk_drain_s": 60.0, "utilization": 0.5, "shrink_after_s": 60.0}


def test_small_batches_tell_what_full_ones_do() -> None:
    rate = ServiceRate(max_batch_size=32, max_batch_cost=10_000)
    assert rate.per_s() is None
    for items in (1, 2, 3, 4) * 20:
        rate.batch(items, items * 100, 0.05 + items * 100 / 20_000)
    assert rate.per_s() == pytest.approx(3200 / (0.05 + 3200 / 20_000))
    assert rate.item_cost == pytest.approx(100)


def test_batches_of_one_size_are_taken_as_they_are() -> None:
    rate = ServiceRate(max_batch_size=32, max_batch_cost=10_000)
    for _ in range(20):
        rate.batch(2, 200, 0.1)
    assert rate.per_s() == pytest.approx(2000)


def test_noise_makes_no_time_negative() -> None:
    rate = ServiceRate(max_batch_size=8, max_batch_cost=10_000)
    rate.batch(1, 100, 0.2)
    rate.batch(8, 800, 0.1)  # a larger one that was faster
    assert rate.per_s() == pytest.approx(800 / 0.15, rel=0.01)
    rate = ServiceRate(max_batch_size=8, max_batch_cost=10_000)
    rate.batch(1, 100, 0.001)
    rate.batch(8, 800, 0.1)
    assert rate.per_s() == pytest.approx(900 / 0.101, rel=0.01)
    free = ServiceRate(8, 100)
    free.batch(1, 0, 0.0)
    assert free.per_s() is None


async def test_a_queue_tells_its_meter_what_waits_and_what_ran() -> None:
    gate = asyncio.Event()

    async def run(items: Any) -> list[Any]:
        await gate.wait()
        if "explode" in items:
            raise RuntimeError("device fault")
        return list(items)

    limits = BatchLimits(max_batch_size=2)
    meter = LoadMeter(limits)
    queue: BatchQueue[str, str] = BatchQueue(run, cost=len, limits=limits, on_queued=meter.arrived, on_ran=meter.ran)
    first = asyncio.create_task(queue.submit(["aaa", "bbb"], "interactive"))
    second = asyncio.create_task(queue.submit(["c", "explode"], "bulk"))
    dropped = asyncio.create_task(queue.submit(["dddd"], "interactive"))
    await asyncio.sleep(0)
    assert queue.outstanding() == {"interactive": 10, "bulk": 8}
    dropped.cancel()
    gate.set()
    await first
    with pytest.raises(RuntimeError):
        await second
    assert queue.outstanding() == {"interactive": 0, "bulk": 0}
    stats = meter.stats({"interactive": 0, "bulk": 0})
    assert stats["arrived"] == 10, "of the interactive lane"
    assert stats["service_per_s"] > 0
    await queue.close()


def test_what_callers_hold_back_is_told_once_and_in_cost() -> None:
    meter = LoadMeter(BatchLimits())
    meter.ran(items=4, cost=40, seconds=0.1)
    meter.called(2, Held("one", 5.0, interactive=3, bulk=7))
    meter.called(4, Held("one", 4.0, interactive=9, bulk=9))  # sent before
    stats = meter.stats({"interactive": 11, "bulk": 12})
    assert (stats["held:one"], stats["held_bulk:one"], stats["sent_at:one"]) == (30, 70, 5.0)
    assert (stats["queued"], stats["queued_bulk"], stats["call_cost"]) == (11, 12, 30)
    assert "held:one" not in meter.stats({"interactive": 0, "bulk": 0})


def test_the_load_of_two_replicas_a_handle_and_a_caller() -> None:
    reports = {
        "arrived": {"a": [(0.0, 0.0), (1.0, 900.0), (6.0, 1900.0)], "b": [(2.0, 50.0)]},
        "queued": {"a": [(6.0, 70.0)], "b": [(2.0, 30.0)]},
        "queued_bulk": {"a": [(6.0, 5.0)]},
        "service_per_s": {"a": [(1.0, 1.0), (6.0, 800.0)], "b": [(2.0, 600.0)]},
        "call_cost": {"a": [(6.0, 20.0)], "b": [(6.0, 40.0)]},
        # Replica b heard later than a, of the same caller.
        "sent_at:c": {"a": [(1.0, 10.0), (2.0, 12.0)], "b": [(2.0, 14.0)]},
        "held:c": {"a": [(1.0, 100.0), (2.0, 200.0)], "b": [(2.0, 300.0)]},
        "held_bulk:c": {"b": [(2.0, 25.0)]},
    }
    load = load_of(reports, now_s=9.0, running=2, ordered=3, handle_calls=2.0, over_s=5.0)
    assert load.queued == 70 + 30 + 2 * 30 + 300
    assert load.queued_bulk == 5 + 25
    assert load.arriving_per_s == 1000 / 5 + 200 / 4
    assert load.service_per_s == 700
    assert (load.now_s, load.running, load.ordered) == (9.0, 2, 3)
    assert load_of({}, now_s=0.0, running=0, ordered=1, handle_calls=3.0, over_s=5.0).service_per_s is None


@dataclass
class Context:
    """What of Serve's AutoscalingContext is read."""

    raw_metrics: dict[str, dict[str, list[Any]]]
    current_time: float = 0.0
    current_num_replicas: int = 1
    target_num_replicas: int = 1
    total_queued_requests: float = 0.0
    capacity_adjusted_min_replicas: int = 1
    capacity_adjusted_max_replicas: int = 4
    config: Any = field(default_factory=lambda: SimpleNamespace(metrics_interval_s=5.0))
    policy_state: dict[str, Any] = field(default_factory=dict)


def series(*points: tuple[float, float]) -> dict[str, list[Any]]:
    return {"a": [SimpleNamespace(timestamp=at, value=value) for at, value in points]}


def test_the_policy_through_serves_context() -> None:
    policy = EncoderPolicy(**TARGETS)
    busy = {"arrived": series((0, 0), (5, 4000)), "queued": series((5, 0)), "service_per_s": series((5, 1000))}
    replicas, state = policy(Context(busy, current_time=5.0))
    assert replicas == 2, "800 a second take half of what two can do, and a little"
    idle = {"arrived": series((6, 4000), (11, 4000)), "service_per_s": series((11, 1000))}
    after = Context(idle, current_time=11.0, current_num_replicas=2, target_num_replicas=2, policy_state=state)
    assert policy(after)[0] == 2, "the memory came back with the state"
    assert policy(Context(idle, current_time=11.0, current_num_replicas=2, target_num_replicas=1))[0] == 1
    assert EncoderPolicy(service_per_s=400.0, **TARGETS)(Context(busy))[0] == 4, "the setting, not the measurement"
    assert policy(Context({}))[0] == 1
