"""Made-up texts and pictures, no two alike."""

from __future__ import annotations

import io
from itertools import zip_longest

import numpy as np
from PIL import Image

from encoders import EncoderInput

TEXTS = (
    "a photo of a cat on a red sofa",
    "two dogs run on the beach at sunset, and nobody is there to see it but the waves and the wind",
    "一只猫在红色的沙发上",
    "no",
)
SIZES = ((64, 64), (100, 80), (80, 200), (192, 64), (64, 64), (160, 160))


def picture(width: int, height: int, seed: int) -> bytes:
    """A PNG of a few coloured blobs, another for each seed."""
    blobs = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(blobs).resize((width, height), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def mixed_inputs() -> list[EncoderInput]:
    """Fourteen, in mixed order: texts of several lengths, pictures of several sizes, and both fused."""
    texts = [EncoderInput(text=text) for text in TEXTS]
    pictures = [EncoderInput(image=picture(*size, seed)) for seed, size in enumerate(SIZES)]
    fused = [EncoderInput(text=text, image=picture(96, 64, 20 + seed)) for seed, text in enumerate(TEXTS)]
    return [item for group in zip_longest(texts, pictures, fused) for item in group if item is not None]
