"""An image's file lives as long as an item names it, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.errors import NotFound
from deployments.item_files import THUMBNAIL, ItemFiles
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import Filter, FolderMedia, MediaStore, Record, media_address
from retrieval.errors import IndexUnavailable, StorageFull
from retrieval.memory import MemoryIndex


def drawn(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


PICTURE = drawn("red")
OTHER = drawn("blue")


class FailingIndex(MemoryIndex):
    """Fails to write, or to count, once it is given an error."""

    upsert_error: Exception | None = None
    count_error: Exception | None = None

    async def upsert(self, records: Sequence[Record]) -> None:
        if self.upsert_error is not None:
            raise self.upsert_error
        await super().upsert(records)

    async def count(self, filter: Filter | None = None) -> int:
        if self.count_error is not None:
            raise self.count_error
        return await super().count(filter)


def service(
    folder: Path, *, sole_writer: bool = True, index: MemoryIndex | None = None, thumbnails: bool = False
) -> ItemService:
    encoder = FakeEncoder()
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    port = LocalIndex(index or MemoryIndex(encoder.info.dim))
    files = ItemFiles(FolderMedia(folder), port, ImageLimits(), sole_writer=sole_writer, thumbnails=thumbnails)
    return ItemService(LocalEncoder(worker), port, files, encoder.info, ImageLimits())


async def image(items: ItemService, id: str) -> bytes:
    return await items.image((await items.media_of(id))[0])


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_the_last_item_takes_the_file_and_its_thumbnail_with_it(tmp_path: Path) -> None:
    items = service(tmp_path)
    for id in ("one", "two"):
        await items.add(Item(id=id, image=PICTURE), Stages())
    await items.thumbnail((await items.media_of("one"))[0])
    await items.delete("one")
    assert await image(items, "two") == PICTURE
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
            assert await image(items, kept) == PICTURE
            survived += 1
        await delete(kept)
    assert same_id or survived == 30
    assert files(tmp_path) == []


@pytest.mark.parametrize("after", [Item(id="one", image=OTHER), Item(id="one", text="words")], ids=["image", "text"])
async def test_an_item_that_gets_other_content_lets_its_file_go(tmp_path: Path, after: Item) -> None:
    items = service(tmp_path)
    await items.add(Item(id="one", image=PICTURE), Stages())
    await items.thumbnail((await items.media_of("one"))[0])
    assert (await items.add(after, Stages())).outcome == "updated"
    assert [path.name for path in files(tmp_path)] == ([] if after.image is None else [media_address(OTHER)])


async def test_a_file_that_another_item_names_outlives_the_change(tmp_path: Path) -> None:
    items = service(tmp_path)
    for id in ("one", "two"):
        await items.add(Item(id=id, image=PICTURE), Stages())
    await items.add(Item(id="one", image=OTHER), Stages())
    assert await image(items, "two") == PICTURE
    assert await image(items, "one") == OTHER


async def test_of_a_row_that_was_refused_no_file_is_left(tmp_path: Path) -> None:
    index = FailingIndex(FakeEncoder().info.dim)
    items = service(tmp_path, index=index)
    await items.add(Item(id="one", image=PICTURE), Stages())
    index.upsert_error = StorageFull("no room")
    for image in (PICTURE, OTHER):
        with pytest.raises(StorageFull):
            await items.add(Item(id="two", image=image), Stages())
    assert [path.name for path in files(tmp_path)] == [media_address(PICTURE)]


async def test_where_the_row_may_have_been_written_its_file_stays(tmp_path: Path) -> None:
    index = FailingIndex(FakeEncoder().info.dim)
    index.upsert_error = IndexUnavailable("no answer in time")
    with pytest.raises(IndexUnavailable):
        await service(tmp_path, index=index).add(Item(id="one", image=PICTURE), Stages())
    assert [path.name for path in files(tmp_path)] == [media_address(PICTURE)]


async def test_a_change_that_is_done_does_not_fail_for_the_file_it_leaves(tmp_path: Path) -> None:
    index = FailingIndex(FakeEncoder().info.dim)
    items = service(tmp_path, index=index)
    await items.add(Item(id="one", image=PICTURE), Stages())
    index.count_error = IndexUnavailable("restarting")
    assert (await items.add(Item(id="one", image=OTHER), Stages())).outcome == "updated"
    await items.delete("one")
    assert len(files(tmp_path)) == 2, "nobody could say that no item names them"


async def test_changes_and_deletes_of_one_item_leave_no_file(tmp_path: Path) -> None:
    items = service(tmp_path)

    async def delete() -> None:
        with contextlib.suppress(NotFound):
            await items.delete("one")

    for _ in range(30):
        await items.add(Item(id="one", image=PICTURE), Stages())
        await asyncio.gather(items.add(Item(id="one", image=OTHER), Stages()), delete())
        await delete()
        assert files(tmp_path) == []


class StrictIndex(MemoryIndex):
    """Takes no row whose file is not on disk yet."""

    media: MediaStore

    async def upsert(self, records: Sequence[Record]) -> None:
        assert all(self.media.exists(record.payload.media) for record in records if record.payload.media is not None)
        await super().upsert(records)


async def test_a_file_is_there_before_the_row_that_names_it(tmp_path: Path) -> None:
    index = StrictIndex(FakeEncoder().info.dim)
    index.media = FolderMedia(tmp_path)
    items = service(tmp_path, index=index)
    for image in (PICTURE, OTHER):
        await items.add(Item(id="one", image=image), Stages())
    await items.add(Item(image=PICTURE, text="both"), Stages())
    assert await index.count() == 2


async def test_a_thumbnail_is_there_once_the_item_is_and_goes_with_it(tmp_path: Path) -> None:
    items = service(tmp_path, thumbnails=True)
    await items.add(Item(id="one", image=PICTURE), Stages())
    address = media_address(PICTURE)
    made = FolderMedia(tmp_path).get_derived(address, THUMBNAIL)
    assert made
    assert await items.thumbnail(address) == made
    await items.delete("one")
    assert files(tmp_path) == []


async def test_of_a_row_that_was_refused_no_thumbnail_is_left(tmp_path: Path) -> None:
    index = FailingIndex(FakeEncoder().info.dim)
    index.upsert_error = StorageFull("no room")
    items = service(tmp_path, index=index, thumbnails=True)
    with pytest.raises(StorageFull):
        await items.add(Item(id="one", image=PICTURE), Stages())
    assert files(tmp_path) == []


@pytest.mark.parametrize("left", [b"", b"half"])
async def test_a_thumbnail_that_a_power_cut_spoiled_is_made_again(tmp_path: Path, left: bytes) -> None:
    items = service(tmp_path, thumbnails=True)
    await items.add(Item(id="one", image=PICTURE), Stages())
    address, media = media_address(PICTURE), FolderMedia(tmp_path)
    whole = media.get_derived(address, THUMBNAIL)
    assert whole is not None
    media.put_derived(address, THUMBNAIL, left and whole[: len(whole) // 2])
    assert await items.thumbnail(address) == whole
    assert media.get_derived(address, THUMBNAIL) == whole
