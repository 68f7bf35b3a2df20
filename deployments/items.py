"""Items: what is stored, how it gets there, and what an acknowledgement promises.

A write is acknowledged when its media file and its row are on disk, the file first. The same content has the same id,
and content that is there already is not encoded again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deployments.content import content_id
from deployments.encoder import EncodeTask
from deployments.errors import NotFound
from deployments.finding import find
from deployments.id_locks import IdLocks
from deployments.item_files import THUMBNAIL_PX, ItemFiles
from deployments.ocr import is_pending
from deployments.ports import EncodePort, IndexPort
from deployments.schemas.items import Item
from deployments.space import require_space
from deployments.stages import Stages
from encoders import EncoderInfo, EncoderInput, Vectors
from encoders.images import ImageLimits, decode, probe
from retrieval import Payload, Record, media_address
from retrieval.errors import InvalidRecord
from retrieval.validation import check_records

ROUNDING = 1e-6
"""How far from 1 the norm of a unit vector in float32 may be."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A write that is on disk. `outcome` is created, updated (same content, other metadata) or unchanged."""

    record: Record
    outcome: str


class ItemService:
    """Adds, fetches and deletes items. Plain Python over the ports and the media store."""

    def __init__(
        self,
        encoder: EncodePort,
        index: IndexPort,
        files: ItemFiles,
        info: EncoderInfo,
        limits: ImageLimits,
        *,
        on_unread: Callable[[str], None] = lambda id: None,
    ) -> None:
        """`on_unread` hears of stored items whose image is still to be read."""
        self._on_unread = on_unread
        self._locks = IdLocks()
        self._encoder = encoder
        self._index = index
        self._files = files
        self._info = info
        self._limits = limits

    async def add(self, item: Item, stages: Stages) -> Stored:
        """Store one item.

        Raises InputError, InvalidRecord, Conflict, ContractMismatch, and what the ports raise: no row is kept then.
        """
        require_space(self._info, item)
        id = item.id or content_id(item.image, item.text)
        fresh = self._payload(item)
        stages.lap("inspect")
        async with self._locks.held([id]):
            return await self._add(id, fresh, item, stages)

    async def _add(self, id: str, fresh: Payload, item: Item, stages: Stages) -> Stored:
        existing = None if await self._is_new(item, fresh) else (await self._index.get([id]))[0]
        stages.lap("lookup")
        if item.ocr_text is None and existing is not None and existing.payload.media == fresh.media:
            fresh = replace(fresh, ocr_text=existing.payload.ocr_text)
        if existing is not None and _same_content(existing.payload, fresh) and item.vector is None:
            return await self._refresh(existing, fresh, item, stages)
        record = Record(id, await self._vector(item, stages), fresh)
        self._require_storable(record)
        if item.image is None or fresh.media is None:
            await self._upsert(record, stages)
        else:
            async with self._files.stored(fresh.media, item.image):
                stages.lap("media")
                await self._upsert(record, stages)
        if existing is not None:
            await self._release_other(existing, fresh, stages)
        return Stored(record, "created" if existing is None else "updated")

    async def get(self, id: str) -> Record:
        """Raises NotFound."""
        (record,) = await find(self._index, [id])
        if record is None:
            raise _unknown(id)
        return record

    async def existing(self, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that are stored, in order."""
        found = [record.id for record in await self._index.get(ids) if record is not None]
        if found:
            await self._index.confirm(found)
        return found

    async def page(self, after: str, limit: int) -> tuple[list[Record], int]:
        """Up to `limit` records with `id > after`, by id, and how many there are in all."""
        return await self._index.scan(after, limit), await self._index.count()

    async def delete(self, id: str) -> None:
        """Removes the row, and the image's file when no other item names it. Raises NotFound."""
        async with self._locks.held([id]):
            (record,) = await find(self._index, [id])
            if record is None or await self._index.delete([id]) == 0:
                await self._index.confirm([id])
                raise _unknown(id)
            if record.payload.media is not None:
                await self._files.release(record.payload.media)

    async def media_of(self, id: str) -> tuple[str, str]:
        """The address and the type of an item's image. Raises NotFound."""
        payload = (await self.get(id)).payload
        if payload.media is None:
            raise NotFound(f"the item {id!r} has no image", "id", "no_image")
        return payload.media, payload.mime or "application/octet-stream"

    async def image(self, address: str) -> bytes:
        """The image at an address, as it was sent. Raises NotFound."""
        return _found(await self._files.read(address))

    async def thumbnail(self, address: str) -> bytes:
        """A small WebP of it. Raises NotFound."""
        return _found(await self._files.thumbnail(address))

    def _payload(self, item: Item) -> Payload:
        """Everything but the vector; reads an image's header only, because the encoder decodes it anyway."""
        seen = None if item.image is None else probe(item.image, self._limits)
        kind = EncoderInput(item.text, item.image).modality
        return Payload(
            kind=kind,
            text=item.text,
            media=None if item.image is None else media_address(item.image),
            mime=None if seen is None else seen.mime,
            width=0 if seen is None else seen.width,
            height=0 if seen is None else seen.height,
            source=item.source,
            tags=tuple(item.tags),
            metadata=item.metadata,
            created_at=time.time() if item.created_at is None else item.created_at,
            ocr_text=item.ocr_text,
        )

    async def _is_new(self, item: Item, payload: Payload) -> bool:
        """Whether no row can have the id of this content: a row is never on disk before its media file.

        It saves what a new photo would cost most after its encoding, a call to the index.
        """
        return item.id is None and payload.media is not None and await self._files.is_surely_new(payload.media)

    async def _refresh(self, existing: Record, fresh: Payload, item: Item, stages: Stages) -> Stored:
        """Same content: keep the vector and the date, and take the new metadata when it differs."""
        old = existing.payload
        payload = replace(fresh, created_at=old.created_at, source=item.source or old.source)
        if payload == old:
            await self._index.confirm([existing.id])
            return Stored(existing, "unchanged")
        record = Record(existing.id, existing.vector, payload)
        self._require_storable(record)
        await self._upsert(record, stages)
        return Stored(record, "updated")

    async def _upsert(self, record: Record, stages: Stages) -> None:
        """What was read off the image between our look and this write is lost, and read again: hence the ring."""
        await self._index.upsert([record])
        stages.lap("upsert")
        if is_pending(record.payload):
            self._on_unread(record.id)

    async def _release_other(self, before: Record, now: Payload, stages: Stages) -> None:
        """Lets go of the file of an item that has another image from now on, or none."""
        media = before.payload.media
        if media is not None and media != now.media:
            await self._files.release(media)
            stages.lap("release")

    async def _vector(self, item: Item, stages: Stages) -> Vectors:
        if item.vector is not None:
            if item.image is not None:  # nobody else looks at it, and a damaged file must not be stored
                await asyncio.to_thread(decode, item.image, self._limits, THUMBNAIL_PX)
                stages.lap("prepare")
            return self._given_vector(item.vector)
        task = EncodeTask(EncoderInput(item.text, item.image), "document", "bulk")
        outcome = (await self._encoder.encode([task]))[0]
        stages.split(outcome.stages_s, rest="encode_call")
        return outcome.unwrap()

    def _require_storable(self, record: Record) -> None:
        """What the index would refuse is refused before a file is written. Raises InvalidRecord naming the field."""
        try:
            check_records([record], self._info.dim)
        except InvalidRecord as error:
            here = "records[0]."
            raise InvalidRecord(error.message.removeprefix(here), error.param.removeprefix(here)) from error

    def _given_vector(self, values: Sequence[float]) -> Vectors:
        if len(values) != self._info.dim:
            raise InvalidRecord(f"the vector has {len(values)} numbers, not {self._info.dim}", "vector")
        vector = np.asarray(values, dtype=np.float64)
        with np.errstate(over="ignore"):
            norm = float(np.linalg.norm(vector))
        if not np.isfinite(norm) or norm < 1e-6:
            raise InvalidRecord("the vector must be finite and not zero", "vector")
        if abs(norm - 1) <= ROUNDING:  # one that was exported here comes back bit for bit
            norm = 1.0
        return np.asarray(vector / norm, dtype=np.float32)


def _same_content(old: Payload, new: Payload) -> bool:
    return (old.media, old.text, old.kind) == (new.media, new.text, new.kind)


def _unknown(id: str) -> NotFound:
    return NotFound(f"there is no item {id!r}", "id")


def _found(file: bytes | None) -> bytes:
    if file is None:
        raise NotFound("the item's image is gone", "id", "no_image")
    return file
