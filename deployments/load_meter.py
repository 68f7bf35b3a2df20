"""What an encoder replica measures of its load, for who decides how many replicas there are.

All of it is cost (visual and text tokens). What callers hold back is not seen here, so they tell of it with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.batch_queue import BatchLimits, Lane
from deployments.service_rate import ServiceRate


@dataclass(frozen=True, slots=True)
class Held:
    """Items that a caller holds back until replicas have room, told with a call."""

    caller: str
    sent_at: float
    """By the caller's clock: of what several replicas heard, the latest counts."""
    interactive: int
    bulk: int


class LoadMeter:
    """The numbers of one replica, as `record_autoscaling_stats` wants them: names with floats."""

    def __init__(self, limits: BatchLimits) -> None:
        self._rate = ServiceRate(limits.max_batch_size, limits.max_batch_cost)
        self._arrived = 0.0
        self._calls = 0
        self._items = 0
        self._held: dict[str, Held] = {}

    def called(self, items: int, held: Held | None) -> None:
        """A call with so many items."""
        self._calls += 1
        self._items += items
        if held is not None and (held.caller not in self._held or self._held[held.caller].sent_at < held.sent_at):
            self._held[held.caller] = held

    def arrived(self, lane: Lane, cost: float) -> None:
        """Work that was queued."""
        if lane == "interactive":
            self._arrived += cost

    def ran(self, items: int, cost: float, seconds: float) -> None:
        """A batch."""
        self._rate.batch(items, cost, seconds)

    def service_per_s(self) -> float | None:
        """Cost a second with full batches; None before the first batch."""
        return self._rate.per_s()

    def stats(self, outstanding: Mapping[Lane, float]) -> dict[str, float]:
        """`outstanding` is the cost that waits or runs here. What callers told is forgotten with this call: one that is
        not heard again holds nothing back, or is gone."""
        item_cost = self._rate.item_cost
        stats = {
            "arrived": self._arrived,
            "queued": outstanding["interactive"],
            "queued_bulk": outstanding["bulk"],
            "call_cost": item_cost * self._items / self._calls if self._calls else 0.0,
        }
        if (rate := self._rate.per_s()) is not None:
            stats["service_per_s"] = rate
        for caller, held in self._held.items():
            stats[f"sent_at:{caller}"] = held.sent_at
            stats[f"held:{caller}"] = item_cost * held.interactive
            stats[f"held_bulk:{caller}"] = item_cost * held.bulk
        self._held = {}
        return stats
