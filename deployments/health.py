"""Readiness: a warm text and a warm image go through encoder and index before anyone is told to come."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from dataclasses import dataclass

from PIL import Image

from deployments.encoder import EncodeTask
from deployments.errors import CrossrayError
from deployments.ports import EncodePort, IndexPort
from encoders import EncoderError, EncoderInfo, EncoderInput
from retrieval import Query, RetrievalError

KEEP_S = 2.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """`count` is the number of items; `detail` says what is wrong, or what searches."""

    ready: bool
    count: int | None
    index: str | None
    detail: str


def _warm_image() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


class HealthService:
    """Asks the whole path, at most once every KEEP_S seconds, however many probes come."""

    def __init__(self, encoder: EncodePort, index: IndexPort, info: EncoderInfo, note: str = "") -> None:
        """`note` says why what the encoder makes is not to be searched for, where it is not."""
        self._encoder = encoder
        self._index = index
        self._note = note
        self._inputs = [
            item
            for item in (EncoderInput(text="ready?"), EncoderInput(image=_warm_image()))
            if item.modality in info.modalities
        ]
        self._lock = asyncio.Lock()
        self._last: tuple[float, Readiness] | None = None

    async def ready(self) -> Readiness:
        """Never raises: what does not answer is the detail."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > KEEP_S:
                self._last = (time.monotonic(), await self._check())
            return self._last[1]

    async def _check(self) -> Readiness:
        try:
            outcomes = await self._encoder.encode([EncodeTask(item, "query") for item in self._inputs])
            for outcome in outcomes:
                vector = outcome.unwrap()
                if not self._note:
                    await self._index.search(Query(vector, 1))
            health = await self._index.health()
        except (CrossrayError, EncoderError, RetrievalError) as error:
            return Readiness(False, None, None, str(error))
        except Exception as error:
            log.exception("the check of readiness failed")
            return Readiness(False, None, None, f"{type(error).__name__}: see the server's log")
        return Readiness(
            health.ready, health.count, f"{health.backend}/{health.structure}", self._note or health.detail
        )
