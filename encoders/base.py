"""The encoder contract: texts and images in, L2-normalised float32 vectors out.

An encoder is two halves, because they run in different places:

* a *preparer* turns one input into what the model eats (decode, resize, tokenise). It is CPU work, holds no
  weights, pickles, and may run in threads or in other processes;
* `forward` turns a batch of prepared items into vectors. It owns the device and is called by one thread at a time.

This module does not know which model runs, how batches are formed, nor what Ray or HTTP are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from encoders.contract import VectorContract
from encoders.errors import InputError

Vectors: TypeAlias = NDArray[np.float32]
Role: TypeAlias = Literal["query", "document"]
Modality: TypeAlias = Literal["text", "image", "image_text"]


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """One thing to embed: a text, an encoded image file's bytes, or both fused into one vector.

    Modality is explicit: a URL or a path given as `text` is embedded as the text it is.
    """

    text: str | None = None
    image: bytes | None = None

    @property
    def modality(self) -> Modality:
        """Which of the three this is. Raises InputError when it is none."""
        if self.image is not None:
            return "image" if self.text is None else "image_text"
        if self.text is None:
            raise InputError("give a text, an image, or both", code="empty_input", param="input")
        return "text"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a preparer hands to `forward`. `payload` is the encoder's own business.

    `cost` is in the encoder's own unit, visual plus text tokens where it has them, and is what batches are filled by.
    """

    payload: Any
    cost: int
    modality: Modality


@dataclass(frozen=True, slots=True)
class Calibration:
    """Cosine to match probability: `sigmoid(scale * (cosine - midpoint))`."""

    scale: float
    midpoint: float


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder is: its name, its vector contract, and what it can take."""

    name: str
    contract: VectorContract
    modalities: frozenset[Modality]
    dimensions: tuple[int, ...]
    """Allowed output dimensions, the native one first. More than one only where prefixes are vectors (Matryoshka)."""
    max_text_chars: int
    languages: tuple[str, ...] = ()
    calibration: Calibration | None = None
    """From cosine between a text and an image to match probability; None when nobody calibrated it."""
    description: str = ""

    @property
    def dim(self) -> int:
        return self.contract.dim


@runtime_checkable
class Preparer(Protocol):
    """Turns one input into a prepared item. Pickles; safe to call from several threads and processes."""

    def __call__(self, item: EncoderInput, role: Role) -> Prepared:
        """Raises InputError for an input that cannot be embedded."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A model that puts texts and images into one embedding space."""

    @property
    def info(self) -> EncoderInfo: ...

    @property
    def preparer(self) -> Preparer: ...

    def forward(self, batch: Sequence[Prepared]) -> Vectors:
        """`(n, dim)` float32, rows L2-normalised, in the order of `batch`. A row does not depend on its neighbours."""
        ...

    def close(self) -> None:
        """Frees the device. Calling it twice is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """The answer to a batch: `vectors` is `(n, dim)`; row i is zeros exactly when `errors[i]` is set."""

    vectors: Vectors
    errors: tuple[InputError | None, ...]
    cost: int = 0
    """Sum of the costs of the rows that were encoded."""
    meta: dict[str, float] = field(default_factory=dict)

    def unwrap(self) -> Vectors:
        """The vectors, or the first item's error raised."""
        for error in self.errors:
            if error is not None:
                raise error
        return self.vectors


def encode(encoder: Encoder, items: Sequence[EncoderInput], role: Role) -> Encoded:
    """Prepare and encode in this thread. An input that cannot be embedded fails alone; the rest succeed.

    Returns vectors `(len(items), dim)` float32, L2-normalised.
    """
    prepared: list[Prepared] = []
    rows: list[int] = []
    errors: list[InputError | None] = [None] * len(items)
    for row, item in enumerate(items):
        try:
            prepared.append(encoder.preparer(item, role))
            rows.append(row)
        except InputError as error:
            errors[row] = error
    vectors = np.zeros((len(items), encoder.info.dim), dtype=np.float32)
    if prepared:
        vectors[rows] = encoder.forward(prepared)
    return Encoded(vectors, tuple(errors), cost=sum(p.cost for p in prepared))


def normalise(vectors: NDArray[Any]) -> Vectors:
    """Rows to unit length, float32. A zero row stays zero."""
    rows = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-12), dtype=np.float32)


def truncate(vectors: Vectors, dim: int) -> Vectors:
    """The first `dim` columns, renormalised: how Matryoshka embeddings are shortened (Kusupati et al., 2022)."""
    return vectors if vectors.shape[-1] == dim else normalise(vectors[..., :dim])
