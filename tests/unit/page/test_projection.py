"""The map's two directions, against NumPy's singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest

from page.projection import fit


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (3, 2)])
def test_the_directions_are_those_of_most_variance(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(7).normal(size=shape).astype(np.float32) * np.arange(1, shape[1] + 1, dtype=np.float32)
    found = fit(rows)
    _, spread, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    assert np.abs(np.sum(found.axes * axes[:2], axis=1)) == pytest.approx([1, 1], abs=1e-4)
    assert found.kept == pytest.approx(float((spread[:2] ** 2).sum() / (spread**2).sum()), rel=1e-4)
    assert found(rows).shape == (shape[0], 2)
    assert np.allclose(found(rows).mean(axis=0), 0, atol=1e-3)
    assert np.array_equal(fit(rows).axes, found.axes), "the same rows, the same map"


def test_rows_that_do_not_differ_have_a_place() -> None:
    for rows in (np.ones((4, 3), np.float32), np.ones((3, 9), np.float32)):
        found = fit(rows)
        assert np.allclose(found(rows), 0)
        assert np.isfinite(found.axes).all()


@pytest.mark.parametrize("shape", [(2, 5), (5, 1), (0, 2)])
def test_too_little_spans_no_plane(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no plane"):
        fit(np.ones(shape, np.float32))
