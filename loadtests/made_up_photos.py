"""Photographs that nobody took: soft colours under grain, about as hard to decode and to encode as real ones."""

from __future__ import annotations

import numpy as np
from PIL import Image

from loadtests.inputs import LONG_SIDE_PX, as_jpeg

GRAIN = (6.0, 24.0)
"""Least and most standard deviation, in levels of 255: what makes files of 50 to 100 KB."""


def made_up_photos(count: int, seed: int = 0) -> list[bytes]:
    """JPEG files of 50 to 100 KB, the same for the same seed."""
    draw = np.random.default_rng(seed)
    found: list[bytes] = []
    while len(found) < count:
        file = as_jpeg(_photo(draw))
        found += [] if file is None else [file]
    return found


def _photo(draw: np.random.Generator) -> Image.Image:
    size = (LONG_SIDE_PX, LONG_SIDE_PX * 3 // 4)
    soft = Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = draw.normal(0, draw.uniform(*GRAIN), (size[1], size[0], 1))
    return Image.fromarray(np.clip(np.asarray(soft, dtype=np.float32) + grain, 0, 255).astype(np.uint8))
