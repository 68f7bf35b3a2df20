"""Vectors themselves: `/v1/embeddings` and `/v1/match`, over the encode port."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.calibration import MatchCalibration
from deployments.encoder import EncodeOutcome, EncodeTask
from deployments.errors import BadRequest
from deployments.ports import EncodePort
from deployments.stages import Stages
from encoders import EncoderError, EncoderInfo, EncoderInput, InputError, Role, Vectors, truncate

INTERACTIVE_INPUTS = 8
"""A call with more inputs than this is bulk work, and waits behind searches."""


class EmbeddingService:
    """Encodes inputs for their own sake."""

    def __init__(
        self,
        encoder: EncodePort,
        info: EncoderInfo,
        calibration: Callable[[], MatchCalibration | None] = lambda: None,
    ) -> None:
        """`calibration` goes before what the encoder says of itself."""
        self._encoder = encoder
        self._info = info
        self._calibration = calibration

    async def embed(
        self, inputs: Sequence[EncoderInput], role: Role, dimensions: int | None, stages: Stages
    ) -> list[Vectors | EncoderError]:
        """A unit vector `(dimensions,)` or the error that is this input's alone, in order. Raises BadRequest."""
        if dimensions is not None and dimensions not in self._info.dimensions:
            allowed = ", ".join(map(str, self._info.dimensions))
            raise BadRequest(f"{self._info.name} has no {dimensions} dimensions; allowed: {allowed}", "dimensions")
        outcomes = await self._encode(inputs, role, stages)
        dim = dimensions or self._info.dim
        return [o.error if o.error is not None else truncate(o.unwrap(), dim) for o in outcomes]

    async def match(
        self, texts: Sequence[str], images: Sequence[bytes], stages: Stages
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Cosines `(texts, images)`, and match probabilities where the encoder is calibrated. Raises InputError."""
        inputs = [EncoderInput(text=text) for text in texts] + [EncoderInput(image=image) for image in images]
        outcomes = await self._encode(inputs[: len(texts)], "query", stages)
        outcomes += await self._encode(inputs[len(texts) :], "document", stages)
        vectors = [_unwrap(outcome, row, len(texts)) for row, outcome in enumerate(outcomes)]
        cosine = np.stack(vectors[: len(texts)]) @ np.stack(vectors[len(texts) :]).T
        fitted = self._calibration()
        fit = self._info.calibration if fitted is None else fitted.pair
        if fit is None:
            return cosine, None
        return cosine, np.asarray(1 / (1 + np.exp(-fit.scale * (cosine - fit.midpoint))), dtype=np.float32)

    async def _encode(self, inputs: Sequence[EncoderInput], role: Role, stages: Stages) -> list[EncodeOutcome]:
        lane = "interactive" if len(inputs) <= INTERACTIVE_INPUTS else "bulk"
        outcomes = await self._encoder.encode([EncodeTask(item, role, lane) for item in inputs])  # type: ignore[arg-type]
        stages.split(max((o.stages_s for o in outcomes), key=lambda s: sum(s.values())), rest="encode_call")
        return outcomes


def _unwrap(outcome: EncodeOutcome, row: int, texts: int) -> Vectors:
    try:
        return outcome.unwrap()
    except InputError as error:
        param = f"texts[{row}]" if row < texts else f"images[{row - texts}]"
        raise InputError(error.message, error.code, param) from error
