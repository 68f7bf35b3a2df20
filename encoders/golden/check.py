"""Records golden vectors and compares an encoder with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from encoders.base import Encoder, Vectors, encode
from encoders.contract import VectorContract
from encoders.golden.inputs import GOLDEN_INPUTS

MIN_COSINE = 0.999
"""Between an input's vector and its golden one. Other kernels and float16 storage stay above it; a changed resize,
pooling or template does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """The vectors `(dim,)` float32 by name of input, and the contract they were made under."""

    contract: VectorContract
    vectors: Mapping[str, Vectors]


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """The cosine of each input's vector to its golden one, and to the nearest golden vector of another input."""

    fingerprint: str
    cosines: Mapping[str, float]
    nearest_other: Mapping[str, float]
    """What a mixed-up vector would score: a check whose inputs are all alike would mean nothing."""

    @property
    def differing(self) -> tuple[str, ...]:
        """The names of inputs whose vector moved."""
        return tuple(name for name, cosine in self.cosines.items() if not cosine >= MIN_COSINE)

    @property
    def ok(self) -> bool:
        return not self.differing


def record(encoder: Encoder) -> Golden:
    """The vectors that `encoder` gives now. Raises InputError where it refuses an input of a modality that it takes."""
    vectors: dict[str, Vectors] = {}
    for golden in GOLDEN_INPUTS:
        if golden.input.modality in encoder.info.modalities:
            vectors[golden.name] = encode(encoder, [golden.input], golden.role).unwrap()[0]
    return Golden(encoder.info.contract, vectors)


def check(encoder: Encoder, golden: Golden) -> GoldenReport:
    """Compares what `encoder` gives now, batches of one, with `golden`.

    An input that is missing on either side has a cosine of 0. Raises ContractMismatch when `golden` was made under
    another contract, and InputError.
    """
    golden.contract.require(encoder.info.contract)
    now = record(encoder).vectors
    cosines, nearest = {}, {}
    for name in sorted(now.keys() | golden.vectors.keys()):
        ours, theirs = now.get(name), golden.vectors.get(name)
        cosines[name] = 0.0 if ours is None or theirs is None else _cosine(ours, theirs)
        others = [_cosine(ours, other) for key, other in golden.vectors.items() if key != name and ours is not None]
        nearest[name] = max(others, default=0.0)
    return GoldenReport(golden.contract.fingerprint, cosines, nearest)


def _cosine(a: Vectors, b: Vectors) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
