"""Items whose images are read by their colour: what the tests of OCR stand on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.ocr import OcrLimits, OcrWorker
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.enhance import Enhancement, Pixels
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from encoders.ocr import TextLine
from retrieval import FolderMedia, Record
from retrieval.memory import MemoryIndex

BOX = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
WORDS = {(255, 0, 0): "Red Lion", (0, 128, 0): "绿茶", (255, 255, 255): ""}


class ColourReader:
    """Reads a plain image as the word of its colour; no word for white, and black breaks it."""

    def __init__(self) -> None:
        self.reads = 0
        self.while_reading: Callable[[], None] = lambda: None

    def read(self, image: Pixels) -> list[TextLine]:
        self.reads += 1
        self.while_reading()
        r, g, b = (int(v) for v in image[0, 0])
        text = WORDS[(r, g, b)]
        return [TextLine(text, 0.9, BOX)] if text else []

    def quarter_turns(self, image: Pixels, lines: Sequence[TextLine]) -> int:
        return 0


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "PNG")
    return out.getvalue()


class Stack:
    """Items, index, media and reader; workers come and go."""

    def __init__(self, folder: Path, index: MemoryIndex | None = None) -> None:
        self.encoder = FakeEncoder()
        self.memory = index or MemoryIndex(self.encoder.info.dim)
        self.index = LocalIndex(self.memory)
        self.media = FolderMedia(folder)
        self.reader = ColourReader()
        self.rung: list[str] = []
        self.outcomes: list[str] = []
        self._encoding = EncoderWorker(self.encoder, BatchLimits(), pool=PreparePool(self.encoder.preparer, 1))
        encode = LocalEncoder(self._encoding)
        info, limits = self.encoder.info, ImageLimits()
        files = ItemFiles(self.media, self.index, limits, sole_writer=True)
        self.items = ItemService(encode, self.index, files, info, limits, on_unread=self.rung.append)

    async def add(self, id: str, colour: str | None = None, text: str | None = None, **more: Any) -> Record:
        image = None if colour is None else picture(colour)
        return (await self.items.add(Item(id=id, image=image, text=text, **more), Stages())).record

    async def ocr_text(self, id: str) -> str | None:
        record = await self.items.get(id)
        return record.payload.ocr_text

    def worker(self, **limits: Any) -> OcrWorker:
        return OcrWorker(
            self.index,
            self.media,
            self.reader,
            images=ImageLimits(),
            enhancement=Enhancement.off(),
            limits=OcrLimits(**limits),
            on_page=lambda outcome, _seconds: self.outcomes.append(outcome),
        )

    @asynccontextmanager
    async def running(self, **limits: Any) -> AsyncIterator[OcrWorker]:
        worker = self.worker(**limits)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            task.cancel()
            await asyncio.wait([task])
            worker.close()

    async def close(self) -> None:
        await self._encoding.close()


async def until(condition: Callable[[], bool]) -> None:
    """Waits for another task; pytest's own time limit ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - the worker has nothing to signal with
        await asyncio.sleep(0.005)
