"""Vectors of stored items for another version: taken over where the contract allows it, else made of what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from deployments.encoder import EncodeTask
from deployments.running_encoders import RunningEncoders
from encoders import EncoderInput, VectorContract, Vectors, truncate
from encoders.errors import EncoderError
from retrieval import MediaStore, Record


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A vector, or why there is none."""

    vector: Vectors | None
    reason: str = ""


class VectorSource:
    """Makes the vectors of one version from the records of another."""

    def __init__(
        self, source: VectorContract, target: VectorContract, encoders: RunningEncoders, media: MediaStore
    ) -> None:
        """Where no encoder makes vectors under `target`, only those of the very same contract can be had."""
        made_by = encoders.whole(target)
        self._dim = target.dim
        self._encoder = None if made_by is None else made_by.truncated(target.dim).port
        self._media = media
        # Contracts that differ in `dim` alone tell nothing: whether prefixes are vectors is known to the encoder.
        is_prefix = source.dim > target.dim and made_by is not None and encoders.whole(source) is made_by
        self.reuses = source == target or is_prefix

    @property
    def is_none(self) -> bool:
        """Whether there is no way to the target's vectors."""
        return not self.reuses and self._encoder is None

    def taken_over(self, record: Record) -> Vectors:
        """The record's vector under the other contract, of which it is the first columns."""
        return truncate(record.vector, self._dim)

    async def make(self, records: Sequence[Record]) -> list[Made]:
        """In order. Raises Overloaded, Unavailable, MediaUnavailable: then all of it may be tried again."""
        if self.reuses:
            return [Made(self.taken_over(record)) for record in records]
        images = await asyncio.gather(*(self._image(record) for record in records))
        made = [Made(None, "its image file is gone")] * len(records)
        rows = [row for row, record in enumerate(records) if record.payload.media is None or images[row] is not None]
        inputs = [EncoderInput(records[row].payload.text, images[row]) for row in rows]
        assert self._encoder is not None
        outcomes = await self._encoder.encode([EncodeTask(one, "document", "bulk") for one in inputs]) if rows else []
        for row, outcome in zip(rows, outcomes, strict=True):
            made[row] = Made(outcome.vector, _reason(outcome.error))
        return made

    async def _image(self, record: Record) -> bytes | None:
        media = record.payload.media
        return None if media is None else await asyncio.to_thread(self._media.get, media)


def _reason(error: EncoderError | None) -> str:
    return "" if error is None else str(error)[:200]
