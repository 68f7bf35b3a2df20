"""Whether vectors are the reference's vectors.

A cosine threshold alone proves little on random models, whose vectors are alike to begin with: each vector must also
be nearer to its own reference than to any other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def assert_agree(found: Rows, expected: Rows, at_least: float, label: str = "") -> None:
    """Raises AssertionError unless each row of `found` has cosine `at_least` with, and is nearest to, its own row.

    Both are `(n, dim)` with unit rows. Prints the smallest cosine to the own reference beside the largest to another's.
    """
    cosines = found.astype(np.float64) @ expected.astype(np.float64).T
    own = np.diagonal(cosines)
    others = np.where(np.eye(len(expected), dtype=bool), -1.0, expected.astype(np.float64) @ expected.T)
    print(
        f"{label}: cosine to own reference ≥ {own.min():.6f} (must be ≥ {at_least}), "
        f"between different inputs mean {others[others > -1].mean():.3f}, at most {others.max():.3f}"
    )
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert own.min() >= at_least, f"{label}: row {own.argmin()} has cosine {own.min():.6f} to its own reference"
    nearest = cosines.argmax(axis=1)
    assert (nearest == np.arange(len(expected))).all(), f"{label}: nearest references are {nearest.tolist()}"
