"""Made-up traffic for the simulation of autoscaling: when requests arrive, and what each costs. The same seed, the same
trace.

Requests are texts of some ten tokens and images of some thousand. How many of them are images changes over the day, so
that counting requests and counting tokens are not the same.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEXT_TOKENS = (15, 60)
IMAGE_TOKENS, IMAGE_SPREAD, IMAGE_RANGE = 1000.0, 0.35, (200.0, 3000.0)
"""Median and log-normal sigma; clipped to the range."""
DAY_S = 86_400.0
STEP_S = 10.0
"""The rate of the day's curve is constant for so long."""
# Share of the peak at each hour, from 0 to 24: a night, two shoulders, an evening.
DAY_CURVE = (30, 24, 20, 18, 18, 20, 28, 42, 60, 72, 78, 80, 76, 74, 78, 80, 82, 84, 90, 97, 100, 92, 70, 46, 30)
NOISE, NOISE_LASTS_S = 0.06, 180.0
"""Of the rate about its curve: standard deviation of its logarithm, and how long a deviation lasts."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests in the order of their arrival. `arrivals` are seconds from the start, `costs` tokens."""

    name: str
    arrivals: Floats
    costs: Floats
    length_s: float

    def __len__(self) -> int:
        return len(self.arrivals)

    def as_arrays(self) -> tuple[array[float], array[float]]:
        """Arrivals, and the cost of all requests before each, for bisecting: one more than there are requests."""
        before = np.concatenate(([0.0], np.cumsum(self.costs)))
        return array("d", self.arrivals.tobytes()), array("d", before.tobytes())


def day(seed: int, peak_per_s: float, *, from_h: float = 0.0, to_h: float = 24.0) -> Trace:
    """A day's curve, or some hours of it, with noise that lasts minutes."""
    rng = np.random.default_rng(seed)
    starts = np.arange(from_h * 3600, to_h * 3600, STEP_S)
    shape = np.interp(starts / 3600, range(len(DAY_CURVE)), DAY_CURVE) / 100
    rates = peak_per_s * shape * np.exp(_lasting_noise(rng, len(starts)))
    images = 0.55 + 0.2 * np.cos(2 * np.pi * (starts / 3600 - 3) / 24)  # most of them at night
    return _trace("day", rng, starts - starts[0], np.full(len(starts), STEP_S), rates, images)


def steps(name: str, seed: int, parts: list[tuple[float, float]]) -> Trace:
    """Parts of a constant rate each: seconds, and requests a second."""
    rng = np.random.default_rng(seed)
    lengths = np.array([length for length, _ in parts])
    rates = np.array([rate for _, rate in parts])
    return _trace(name, rng, np.concatenate(([0.0], np.cumsum(lengths)[:-1])), lengths, rates, np.full(len(parts), 0.6))


def _trace(
    name: str, rng: np.random.Generator, starts: Floats, lengths: Floats, rates: Floats, images: Floats
) -> Trace:
    """A Poisson process whose rate is constant within each part."""
    counts = rng.poisson(rates * lengths)
    part = np.repeat(np.arange(len(starts)), counts)
    arrivals = np.sort(starts[part] + lengths[part] * rng.random(len(part)))
    texts = rng.uniform(*TEXT_TOKENS, len(part))
    sizes = np.clip(IMAGE_TOKENS * np.exp(IMAGE_SPREAD * rng.standard_normal(len(part))), *IMAGE_RANGE)
    costs = np.where(rng.random(len(part)) < images[part], sizes, texts)
    return Trace(name, arrivals, costs, float(starts[-1] + lengths[-1]))


def _lasting_noise(rng: np.random.Generator, count: int) -> Floats:
    """An Ornstein-Uhlenbeck process, one value a step."""
    keep = float(np.exp(-STEP_S / NOISE_LASTS_S))
    fresh = rng.standard_normal(count) * NOISE * np.sqrt(1 - keep**2)
    values = np.empty(count)
    value = 0.0
    for at in range(count):
        value = keep * value + fresh[at]
        values[at] = value
    return values
