"""How much a replica can do, learned from the batches that it runs.

A batch takes a fixed time and a time for each unit of its cost. Small batches therefore tell too little when they are
taken by themselves: a replica with little to do would seem slow. So the line is fitted, and full batches are read off
it.
"""

from __future__ import annotations

FORGETTING = 0.99
"""Weight of a batch when the next one is seen: some hundred batches count."""
LEAST_SPREAD = 0.05
"""Standard deviation of the batches' costs, as a share of their mean, from which the slope of a line can be told."""


class ServiceRate:
    """An exponentially forgetting least-squares line through (cost, seconds) of batches."""

    def __init__(self, max_batch_size: int, max_batch_cost: int) -> None:
        self._max_batch_size = max_batch_size
        self._max_batch_cost = max_batch_cost
        self._n = self._items = self._x = self._y = self._xx = self._xy = 0.0

    def batch(self, items: int, cost: float, seconds: float) -> None:
        """One batch that ran."""
        keep = FORGETTING
        self._n = keep * self._n + 1
        self._items = keep * self._items + items
        self._x = keep * self._x + cost
        self._y = keep * self._y + seconds
        self._xx = keep * self._xx + cost * cost
        self._xy = keep * self._xy + cost * seconds

    @property
    def item_cost(self) -> float:
        """Mean cost of an item; 0 before the first batch."""
        return self._x / self._items if self._items else 0.0

    def per_s(self) -> float | None:
        """Cost a second with full batches of such items as came lately; None where no batch took any time."""
        if self._x <= 0 or self._y <= 0:
            return None
        full = max(min(self.item_cost * self._max_batch_size, self._max_batch_cost), self._x / self._n)
        mean_x, mean_y = self._x / self._n, self._y / self._n
        variance = self._xx / self._n - mean_x * mean_x
        if variance < (LEAST_SPREAD * mean_x) ** 2:
            return self._x / self._y
        # Neither time can be negative, whatever noise says.
        slope = max((self._xy / self._n - mean_x * mean_y) / variance, 0.0)
        fixed = mean_y - slope * mean_x
        if fixed < 0:
            slope, fixed = mean_y / mean_x, 0.0
        return full / (fixed + slope * full) if fixed + slope * full > 0 else None
