"""An image's file lives as long as an item names it, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import io
from pathlib import Path

import pytest
from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.errors import NotFound
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import MediaStore
from retrieval.memory import MemoryIndex


def drawn() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = drawn()


def service(folder: Path, *, sole_writer: bool = True) -> ItemService:
    encoder = FakeEncoder()
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = LocalIndex(MemoryIndex(encoder.info.dim))
    return ItemService(
        LocalEncoder(worker), index, MediaStore(folder), encoder.info, ImageLimits(), sole_writer=sole_writer
    )


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_the_last_item_takes_the_file_and_its_thumbnail_with_it(tmp_path: Path) -> None:
    items = service(tmp_path)
    for id in ("one", "two"):
        await items.add(Item(id=id, image=PICTURE), Stages())
    await items.thumbnail("one")
    await items.delete("one")
    assert (await items.image("two"))[0] == PICTURE
    await items.delete("two")
    assert files(tmp_path) == []


async def test_where_others_may_name_it_the_file_stays(tmp_path: Path) -> None:
    items = service(tmp_path, sole_writer=False)
    await items.add(Item(id="one", image=PICTURE), Stages())
    await items.delete("one")
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("same_id", [True, False])
async def test_a_stored_item_has_its_file_whatever_is_deleted_beside_it(tmp_path: Path, same_id: bool) -> None:
    items = service(tmp_path)

    async def delete(id: str) -> None:
        with contextlib.suppress(NotFound):
            await items.delete(id)

    survived = 0
    for number in range(30):
        kept = f"kept-{number}"
        passing = kept if same_id else "passing"
        await items.add(Item(id=passing, image=PICTURE), Stages())
        add = items.add(Item(id=kept, image=PICTURE), Stages())
        await asyncio.gather(delete(passing), add, *([] if same_id else [delete(passing)]))
        if await items.existing([kept]):
            assert (await items.image(kept))[0] == PICTURE
            survived += 1
        await delete(kept)
    assert same_id or survived == 30
    assert files(tmp_path) == []
