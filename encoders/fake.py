"""A deterministic encoder without a model: for tests, and for load tests that need a known amount of work.

Texts that share words, or parts of words, are near each other; an image is near the colours it is made of and near
texts that name them, in English or Chinese. The work is slept, not computed, so that it stands for a device of its own.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.base import Calibration, EncoderInfo, EncoderInput, Prepared, Role, Vectors, normalise
from encoders.batching import TokenCount
from encoders.contract import VectorContract
from encoders.errors import InputError
from encoders.images import PREPROCESSING_VERSION, ImageLimits, decode
from encoders.texts import clean

MAX_TEXT_CHARS = 8192
_THUMBNAIL_PX = 16
_COLOURS: dict[tuple[str, ...], tuple[int, int, int]] = {
    ("black", "黑"): (0, 0, 0),
    ("white", "白"): (255, 255, 255),
    ("grey", "gray", "灰"): (128, 128, 128),
    ("red", "红"): (220, 20, 20),
    ("green", "绿"): (30, 160, 40),
    ("blue", "蓝"): (30, 60, 220),
    ("yellow", "黄"): (250, 220, 30),
    ("orange", "橙"): (250, 140, 20),
    ("purple", "紫"): (130, 40, 160),
    ("pink", "粉"): (250, 150, 190),
    ("brown", "棕"): (120, 70, 30),
    ("cyan", "青"): (30, 210, 210),
}
_PALETTE = np.array(list(_COLOURS.values()), dtype=np.float32)
_COLOUR_OF = {word: index for index, words in enumerate(_COLOURS) for word in words}
_COLOUR_WEIGHT = 4.0
"""A colour that is named outweighs the other words of a short text."""


@dataclass(frozen=True, slots=True)
class FakePreparer:
    """Turns an input into its vector already: what is left for `forward` is to sleep."""

    dim: int
    limits: ImageLimits
    refuse: str | None

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        modality = item.modality
        vector, cost = np.zeros(self.dim, dtype=np.float32), 0
        if item.text is not None:
            text = clean(item.text, MAX_TEXT_CHARS)
            if self.refuse is not None and self.refuse in text:
                raise InputError(f"the text holds {self.refuse!r}, which is refused", code="refused", param="text")
            vector += self._place_text(text)
            cost += len(text.split())
        if item.image is not None:
            vector += self._place_image(item.image)
            cost += _THUMBNAIL_PX
        return Prepared(normalise(vector), cost, modality)

    def _place_text(self, text: str) -> Vectors:
        vector = np.zeros(self.dim, dtype=np.float32)
        room = self.dim - len(_PALETTE)
        for part in _parts(text.lower()):
            # Feature hashing (Weinberger et al., 2009), without its signs: two parts must not cancel to nothing.
            vector[len(_PALETTE) + zlib.crc32(part.encode()) % room] += 1.0
        for word in _words(text.lower()):
            if word in _COLOUR_OF:
                vector[_COLOUR_OF[word]] += _COLOUR_WEIGHT
        return normalise(vector)

    def _place_image(self, data: bytes) -> Vectors:
        image = decode(data, self.limits, at_least_px=_THUMBNAIL_PX).resize((_THUMBNAIL_PX, _THUMBNAIL_PX))
        pixels = np.asarray(image, dtype=np.float32).reshape(-1, 1, 3)
        nearest = np.square(pixels - _PALETTE).sum(axis=2).argmin(axis=1)
        vector = np.zeros(self.dim, dtype=np.float32)
        vector[: len(_PALETTE)] = np.bincount(nearest, minlength=len(_PALETTE)) / len(nearest)
        return normalise(normalise(vector) + 0.2 * _direction(image.tobytes(), self.dim))


class FakeEncoder:
    """`dim` columns, at least 16. A forward call sleeps `work_s` and then `work_per_item_s` for each item."""

    def __init__(
        self,
        dim: int = 64,
        work_s: float = 0.0,
        work_per_item_s: float = 0.0,
        refuse: str | None = None,
        limits: ImageLimits | None = None,
    ) -> None:
        """`refuse` is a mark: a text that holds it raises InputError. Raises ValueError for fewer than 16 columns."""
        if dim < 16:
            raise ValueError(f"dim is {dim}: the fake encoder needs at least 16 columns")
        self._work_s = work_s
        self._work_per_item_s = work_per_item_s
        self._preparer = FakePreparer(dim, limits or ImageLimits(), refuse)
        self._info = _describe(dim)
        self.token_count = TokenCount()

    @property
    def info(self) -> EncoderInfo:
        return self._info

    @property
    def preparer(self) -> FakePreparer:
        return self._preparer

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        """`(n, dim)` float32, rows L2-normalised, after the work was slept."""
        time.sleep(self._work_s + self._work_per_item_s * len(batch))
        vectors = np.zeros((len(batch), self.info.dim), dtype=np.float32)
        for row, prepared in enumerate(batch):
            self.token_count.add([prepared.cost])
            vectors[row] = prepared.payload
        return vectors

    def close(self) -> None:
        """Nothing to free."""


def _describe(dim: int) -> EncoderInfo:
    return EncoderInfo(
        name="fake",
        contract=VectorContract(
            model="fake",
            revision="1",
            dim=dim,
            pooling="bag-of-words",
            template="none",
            pixels=f"{_THUMBNAIL_PX}x{_THUMBNAIL_PX}",
            preprocessing=PREPROCESSING_VERSION,
            precision="fp32",
        ),
        modalities=frozenset(("text", "image", "image_text")),
        dimensions=(dim,),
        max_text_chars=MAX_TEXT_CHARS,
        languages=("en", "zh"),
        calibration=Calibration(scale=10.0, midpoint=0.5),
        description="No model: hashed words and colours.",
    )


def _direction(content: bytes, dim: int) -> Vectors:
    """A unit vector that the content alone decides, with nothing in the columns of the colours."""
    seed = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
    vector = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    vector[: len(_PALETTE)] = 0.0
    return normalise(vector)


def _words(text: str) -> Iterator[str]:
    """Words of the text, and each Chinese character as a word."""
    for word in text.split():
        yield word.strip(".,;:!?\"'()")
        if not word.isascii():
            yield from word


def _parts(text: str) -> Iterator[str]:
    """Words, and their runs of three letters: so that *squares* is near *square*."""
    for word in _words(text):
        yield word
        if word.isascii():
            yield from (word[at : at + 3] for at in range(len(word) - 2))
