"""Vectors in two dimensions: the directions in which they differ most (PCA, Pearson 1901), by NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
LEAST_ROWS = 3
"""Fewer span no plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """`mean` `(dim,)` and `axes` `(2, dim)`, orthonormal rows; `kept` is the share of the variance along them, 0…1."""

    mean: Matrix
    axes: Matrix
    kept: float

    def __call__(self, vectors: Matrix) -> Matrix:
        """Rows `(n, dim)` to places `(n, 2)`."""
        return np.asarray((vectors - self.mean) @ self.axes.T, dtype=np.float32)


def fit(vectors: Matrix) -> Projection:
    """The plane of most variance of rows `(n, dim)`. Raises ValueError for fewer than LEAST_ROWS rows or 2 columns.

    The smaller of the two Gram matrices is decomposed: at most a few thousand rows and columns each.
    """
    rows, dim = vectors.shape
    if rows < LEAST_ROWS or dim < 2:
        raise ValueError(f"{rows} rows of {dim} columns span no plane")
    mean = vectors.mean(axis=0)
    centred: NDArray[np.float64] = (vectors - mean).astype(np.float64)
    if dim <= rows:
        variances, directions = np.linalg.eigh(centred.T @ centred)
        axes = directions[:, [-1, -2]].T
    else:
        variances, mixtures = np.linalg.eigh(centred @ centred.T)
        axes = mixtures[:, [-1, -2]].T @ centred
        axes /= np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    total = float(np.clip(variances, 0, None).sum())
    kept = float(np.clip(variances[-2:], 0, None).sum()) / total if total > 0 else 1.0
    return Projection(mean, (axes * _signs(axes)).astype(np.float32), kept)


def _signs(axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """A direction is as good as its opposite: the one whose largest component is positive, so that maps stay alike."""
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    signs: NDArray[np.float64] = np.where(largest < 0, -1.0, 1.0)[:, None]
    return signs
