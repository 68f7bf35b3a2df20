"""Reading the text off the stored images of a collection, after they can be searched already and beside all requests.

The truth is in the index: an item with an image and without `ocr_text` is pending. A ring at the door only says which
item to look at first; it may be lost or come twice, and a sweep at the start, and now and then, finds what is left.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

from deployments.errors import CrossrayError
from deployments.finding import find
from deployments.ocr_retries import OcrRetries
from deployments.ports import IndexPort
from encoders import InputError
from encoders.enhance import Enhancement
from encoders.images import ImageLimits, decode
from encoders.ocr import MAX_SIDE_PX, TextReader, read_page
from retrieval import MediaStore, Payload, Record, parse_filter
from retrieval.errors import MediaUnavailable, RetrievalError
from retrieval.validation import MAX_TEXT_CHARS

log = logging.getLogger(__name__)

Outcome: TypeAlias = Literal["read", "cut", "blank", "dropped", "failed"]
"""`cut`: read, and more was there than is kept. `dropped`: the item was deleted or got another image meanwhile.
`failed`: tried again, a few times and later each time."""

PENDING = parse_filter(
    {
        "and": [
            {"field": "kind", "op": "in", "value": ["image", "image_text"]},
            {"field": "ocr_text", "op": "exists", "value": False},
        ]
    }
)
"""What `is_pending` says, for the index to count."""
SWEEP_PAGE = 200
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


def is_pending(payload: Payload) -> bool:
    """Whether an item's image is still to be read."""
    return payload.media is not None and payload.ocr_text is None


@dataclass(frozen=True, slots=True)
class OcrLimits:
    """How many rings are remembered, how often the index is walked for items whose ring was lost, and how often and
    after which first pause a page is tried that could not be read."""

    max_queued: int = 1024
    sweep_interval_s: float = 300.0
    attempts: int = 4
    retry_pause_s: float = 60.0


class OcrWorker:
    """Reads one image at a time, in a thread of its own. Plain Python over the index port and the media store."""

    def __init__(
        self,
        index: IndexPort,
        media: MediaStore,
        reader: TextReader,
        *,
        images: ImageLimits,
        enhancement: Enhancement,
        limits: OcrLimits,
        on_page: Callable[[Outcome, float], None] = lambda outcome, seconds: None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        """`thread` is shared with others that read with the same reader; it stays open."""
        self._index = index
        self._media = media
        self._reader = reader
        self._images = images
        self._enhancement = enhancement
        self._limits = limits
        self._on_page = on_page
        self._rung: asyncio.Queue[str] = asyncio.Queue(limits.max_queued)
        self._overflowed = False
        self._retries = OcrRetries(limits.attempts, limits.retry_pause_s)
        self._own_thread = None if thread is not None else ThreadPoolExecutor(1, thread_name_prefix="ocr")
        self._thread: ThreadPoolExecutor = thread or self._own_thread  # type: ignore[assignment]

    def ring(self, ids: Sequence[str]) -> None:
        """Says that these may be pending. Never waits: what finds no room is found by the next sweep."""
        for id in ids:
            try:
                self._rung.put_nowait(id)
            except asyncio.QueueFull:
                self._overflowed = True

    async def run(self) -> None:
        """Until cancelled. While the index does not answer, it tries again with growing pauses."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self.sweep()
                pause_s = FIRST_PAUSE_S
                await self._answer_rings(until=time.monotonic() + self._limits.sweep_interval_s)
            except (CrossrayError, RetrievalError) as error:
                log.warning("OCR waits %.0f s: %s", pause_s, error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def sweep(self) -> None:
        """Reads all that is pending; who rings meanwhile goes first. Where all of it waits for its next try, or was
        given up, nothing is walked."""
        self._overflowed = False
        await self._forget_gone()
        if await self._index.count(PENDING) == self._retries.waiting():
            return
        async for record in self._walk():
            if is_pending(record.payload):
                while not self._rung.empty():
                    await self._look_at(self._rung.get_nowait())
                await self._look_at(record.id)  # The page is from before, and this item may have rung.

    def close(self) -> None:
        """Waits for the page under way."""
        if self._own_thread is not None:
            self._own_thread.shutdown(wait=True)

    async def _forget_gone(self) -> None:
        """Of pages that failed, those of items that were deleted, got another image, or were read after all."""
        failed = self._retries.pages()
        for start in range(0, len(failed), SWEEP_PAGE):
            part = failed[start : start + SWEEP_PAGE]
            records = await self._index.get([id for id, _ in part])
            for page, record in zip(part, records, strict=True):
                if record is None or record.payload.media != page[1] or not is_pending(record.payload):
                    self._retries.forget(page)

    async def _walk(self) -> AsyncIterator[Record]:
        after = ""
        while page := await self._index.scan(after, SWEEP_PAGE):
            for record in page:
                yield record
            after = page[-1].id

    async def _answer_rings(self, until: float) -> None:
        """Returns when a sweep is due: the time is up, or rings were lost and those that were not are answered."""
        while not (self._overflowed and self._rung.empty()):
            try:
                id = await asyncio.wait_for(self._rung.get(), min(until, self._retries.next_due()) - time.monotonic())
            except TimeoutError:
                if time.monotonic() >= until:
                    return
                for due in self._retries.take_due():
                    await self._look_at(due)
            else:
                await self._look_at(id)

    async def _look_at(self, id: str) -> None:
        (record,) = await find(self._index, [id])
        if record is not None:
            await self._read(record)

    async def _read(self, record: Record) -> None:
        """One item, if it is pending. Only the text is written: whatever else changed meanwhile stays."""
        media = record.payload.media
        if media is None or not is_pending(record.payload) or not self._retries.may_try((record.id, media)):
            return
        started = time.perf_counter()
        outcome: Outcome
        try:
            text = await asyncio.get_running_loop().run_in_executor(self._thread, self._text_of, media)
        except MediaUnavailable:
            raise  # not this page's fault: `run` waits
        except Exception as error:
            pause_s = self._retries.failed((record.id, media))
            then = "given up until a restart" if pause_s is None else f"again in {pause_s:.0f} s"
            is_bug = not isinstance(error, InputError)
            log.warning("no text was read off the image of %s, %s: %s", record.id, then, error, exc_info=is_bug)
            outcome = "failed"
        else:
            self._retries.forget((record.id, media))
            is_stored = await self._index.set_ocr(record.id, media, text[:MAX_TEXT_CHARS])
            outcome = _outcome(is_stored, text)
            if outcome == "cut":
                log.warning("the image of %s has %d characters: %d are kept", record.id, len(text), MAX_TEXT_CHARS)
        self._on_page(outcome, time.perf_counter() - started)

    def _text_of(self, media: str) -> str:
        data = self._media.get(media)
        if data is None:
            raise InputError(f"the media store has no file {media}", code="media_missing", param="image")
        image = decode(data, self._images, at_least_px=MAX_SIDE_PX)
        return read_page(self._reader, image, self._enhancement).text


def _outcome(is_stored: bool, text: str) -> Outcome:
    if not is_stored:
        return "dropped"
    if not text:
        return "blank"
    return "read" if len(text) <= MAX_TEXT_CHARS else "cut"
