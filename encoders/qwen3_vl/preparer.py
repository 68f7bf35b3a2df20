"""The CPU half: one input to token ids and a resized picture.

The picture stays uint8 until it is on the device: normalised float patches would be eight times as many bytes to
copy between processes and to the GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from encoders.base import EncoderInput, Prepared, Role
from encoders.errors import InputError
from encoders.images import ImageLimits, decode
from encoders.qwen3_vl.family import Family
from encoders.qwen3_vl.prompt import ChatTokenizer, Message
from encoders.texts import clean

MIN_PIXELS = 4 * 32 * 32
MAX_PIXELS = 1800 * 32 * 32
MAX_TOKENS = 8192
MAX_TEXT_CHARS = 8192
PREPROCESSING_VERSION = 1
"""Raised when what this module makes of the same input changes."""

_MAX_ASPECT_RATIO = 200


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """How an image is resized. `factor_px` is the side of the square that one visual token covers."""

    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    factor_px: int = 32

    def __post_init__(self) -> None:
        if not self.factor_px**2 <= self.min_pixels <= self.max_pixels:
            raise InputError(
                f"a pixel budget needs {self.factor_px**2} ≤ min_pixels ≤ max_pixels, "
                f"not {self.min_pixels} and {self.max_pixels}",
                "invalid_pixel_budget",
                "max_pixels",
            )

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """The nearest height and width that are multiples of the factor and within the budget, ratio nearly kept.

        Raises InputError for a strip so long that no resize keeps it recognisable (as Qwen2-VL's processor does).
        """
        if max(height, width) > _MAX_ASPECT_RATIO * min(height, width):
            raise InputError(
                f"an image of {width}×{height} pixels is longer than {_MAX_ASPECT_RATIO} times its other side",
                "image_aspect_ratio",
                "image",
            )
        factor = self.factor_px
        rows, columns = round(height / factor), round(width / factor)
        if rows * columns * factor**2 > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows = max(1, math.floor(height / shrink / factor))
            columns = max(1, math.floor(width / shrink / factor))
        elif rows * columns * factor**2 < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows, columns = math.ceil(height * grow / factor), math.ceil(width * grow / factor)
        return rows * factor, columns * factor


@dataclass(frozen=True, slots=True)
class ChatInput:
    """What one forward row eats: `ids` `(length,)` and `positions` `(3, length)` int64, and the pictures it shows.

    A picture is `(height, width, 3)` uint8 RGB, already resized.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    images: tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True)
class ChatBuilder:
    """Turns messages and encoded image files into a ChatInput. Shared by the encoder and the reranker."""

    chat: ChatTokenizer
    budget: PixelBudget
    limits: ImageLimits
    max_tokens: int = MAX_TOKENS

    def picture(self, data: bytes) -> NDArray[np.uint8]:
        """`(height, width, 3)` uint8, resized to the budget. Raises InputError for what cannot be decoded."""
        image = decode(data, self.limits)
        height, width = self.budget.fit(image.height, image.width)
        if (image.height, image.width) != (height, width):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(image, dtype=np.uint8)

    @property
    def max_text_chars(self) -> int:
        return min(MAX_TEXT_CHARS, self.max_tokens)

    def parts(self, item: EncoderInput) -> list[Message]:
        """The content of a message: the image before the text, as in training. Raises InputError for an empty text."""
        parts: list[Message] = [] if item.image is None else [{"type": "image"}]
        if item.text is not None:
            clean(item.text, self.max_text_chars)
            # As written: the checkpoint was trained on texts that nobody had normalised.
            parts.append({"type": "text", "text": self.chat.plain(item.text)})
        return parts

    def build(
        self, messages: Sequence[Message], pictures: Sequence[NDArray[np.uint8]], generation_prompt: bool
    ) -> ChatInput:
        """Raises InputError when it comes to more than `max_tokens` tokens: nothing is cut off in silence."""
        factor = self.budget.factor_px
        grids = [(picture.shape[0] // factor, picture.shape[1] // factor) for picture in pictures]
        tokens = self.chat.tokenise(messages, grids, generation_prompt)
        if len(tokens.ids) > self.max_tokens:
            raise InputError(
                f"the input comes to {len(tokens.ids)} tokens, and at most {self.max_tokens} are taken: "
                "shorten the text, or lower max_pixels",
                "too_many_tokens",
                "input",
            )
        return ChatInput(tokens.ids, tokens.positions, tuple(pictures))


@dataclass(frozen=True, slots=True)
class Qwen3VLPreparer:
    """One input to a ChatInput, under its role's instruction. Pickles, holds no weights."""

    builder: ChatBuilder
    family: Family

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        modality = item.modality
        parts = self.builder.parts(item)
        messages: list[Message] = []
        instruction = self.family.instruction(role)
        if instruction is not None:
            messages.append({"role": "system", "content": [{"type": "text", "text": instruction}]})
        messages.append({"role": "user", "content": parts})
        pictures = [] if item.image is None else [self.builder.picture(item.image)]
        built = self.builder.build(messages, pictures, self.family.generation_prompt)
        return Prepared(built, cost=len(built.ids), modality=modality)
