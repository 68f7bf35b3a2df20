"""The inputs: texts in English and Chinese, and pictures drawn here, so that no file has to travel with them.

A picture is a PNG: decoders agree on its pixels to the last bit, on a JPEG's they do not.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.base import EncoderInput, Role

SIDE_PX = 96


@dataclass(frozen=True, slots=True)
class GoldenInput:
    """A named input with the role it is encoded in."""

    name: str
    input: EncoderInput
    role: Role


def _gradient() -> NDArray[np.uint8]:
    """Red grows to the right, green downwards."""
    ramp = np.linspace(0, 255, SIDE_PX).astype(np.uint8)
    blue = np.full((SIDE_PX, SIDE_PX), 64, dtype=np.uint8)
    return np.stack([np.tile(ramp, (SIDE_PX, 1)), np.tile(ramp[:, None], (1, SIDE_PX)), blue], axis=-1)


def _disc() -> NDArray[np.uint8]:
    """An orange disc on blue: nearest to a ball or a sun that the drawing of a few lines gets."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    inside = (x - SIDE_PX / 2) ** 2 + (y - SIDE_PX / 2) ** 2 < (SIDE_PX / 3) ** 2
    return np.where(inside[..., None], (250, 140, 20), (30, 60, 220)).astype(np.uint8)


def _stripes() -> NDArray[np.uint8]:
    """Black and white stripes on a canvas wider than high, so that resizing and cropping count."""
    columns = (np.arange(2 * SIDE_PX) // 12 % 2 * 255).astype(np.uint8)
    return np.tile(columns[None, :, None], (SIDE_PX, 1, 3))


def _png(draw: Callable[[], NDArray[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(draw()).save(buffer, "PNG")
    return buffer.getvalue()


def _text(name: str, text: str, role: Role) -> GoldenInput:
    return GoldenInput(name, EncoderInput(text=text), role)


def _image(name: str, draw: Callable[[], NDArray[np.uint8]]) -> GoldenInput:
    return GoldenInput(name, EncoderInput(image=_png(draw)), "document")


GOLDEN_INPUTS: tuple[GoldenInput, ...] = (
    _text("en-word", "dog", "query"),
    _text("en-sentence", "Two children are playing with a red ball on the beach.", "query"),
    _text("en-document", "A man rides a bicycle along a narrow street.", "document"),
    _text("zh-word", "狗", "query"),
    _text("zh-sentence", "两个孩子在沙滩上玩红色的球。", "query"),
    _image("gradient", _gradient),
    _image("disc", _disc),
    _image("stripes", _stripes),
    GoldenInput("disc-with-text", EncoderInput(text="an orange disc", image=_png(_disc)), "document"),
)
"""An encoder gets those of a modality that it takes."""
