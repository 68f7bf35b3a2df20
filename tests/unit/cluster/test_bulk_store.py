"""What the tasks in the cluster do, without Ray: rows as tables, and rows into the services of the API."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.bulk.choice import choose_address
from cluster.bulk.store import RowStore
from cluster.bulk.tables import outcomes_table, read_outcomes, read_steps, read_work, steps_table
from cluster.errors import ClusterError
from cluster.indexing.ledger import Outcome, StepKey, Work, Written
from cluster.indexing.report import Failure
from cluster.indexing.rows import Mark, Row
from cluster.indexing.sources import find_sources
from cluster.settings import Settings
from deployments.batch_queue import BatchLimits
from deployments.content import content_id
from deployments.encoder import EncodeOutcome, EncoderWorker, EncodeTask
from deployments.errors import Overloaded
from deployments.item_files import ItemFiles
from deployments.items import ItemService, Stored
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import FolderMedia
from retrieval.errors import StorageFull
from retrieval.memory import MemoryIndex
from tests.unit.cluster.pictures import picture

KEY = StepKey(7, 3, Mark(100, 9), False)
ROW = Row(
    "a.tar/7",
    image=picture(),
    text="ein Boot, 船",
    id="seven",
    source="camera",
    tags=("x", "海"),
    metadata={"year": 2020, "ratio": 0.5, "good": True, "place": "Oslo"},
)


def test_rows_come_through_tables_unchanged() -> None:
    steps = [(KEY, ROW), (KEY, Row("b", fault="is empty")), (KEY, Row("c", text="")), (KEY._replace(last=True), None)]
    assert read_steps(steps_table(steps)) == steps


def test_outcomes_come_through_tables_unchanged() -> None:
    outcomes: list[tuple[StepKey, Outcome | None]] = [
        (KEY, Written("indexed", "a")),
        (KEY, Written("skipped", "b")),
        (KEY, Failure("c.jpg", "is empty")),
        (KEY._replace(last=True), None),
    ]
    assert read_outcomes(outcomes_table(outcomes)) == outcomes


def test_bad_rows_and_ends_are_settled_without_being_written() -> None:
    end = KEY._replace(last=True)
    work, settled = read_work(steps_table([(KEY, ROW), (KEY, Row("b", fault="is empty")), (end, None)]))
    assert work == [Work(ROW, KEY)]
    assert settled == [(KEY, Failure("b", "is empty")), (end, None)]


class Busy(LocalEncoder):
    """An encoder that is overloaded at first, or for ever."""

    def __init__(self, worker: EncoderWorker, refusals: int) -> None:
        super().__init__(worker)
        self.refusals = refusals
        self.seen: list[int] = []

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        self.seen.append(len(tasks))
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("the bulk lane is full")
        assert {task.lane for task in tasks} == {"bulk"}
        return await super().encode(tasks)


def store(
    folder: Path, *, refusals: int = 0, patience_s: float = 30, media: FolderMedia | None = None
) -> tuple[RowStore, ItemService, Busy]:
    encoder = FakeEncoder()
    port = Busy(EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1)), refusals)
    index = LocalIndex(MemoryIndex(encoder.info.dim))
    files = ItemFiles(media or FolderMedia(folder), index, ImageLimits(), sole_writer=True)
    items = ItemService(port, index, files, encoder.info, ImageLimits())
    return RowStore(items, ("all",), {"run": 1}, concurrency=4, patience_s=patience_s), items, port


async def test_rows_go_into_the_collection_that_is_named(tmp_path: Path) -> None:
    _, items, _ = store(tmp_path)
    named: list[str] = []

    class Noting:
        async def existing(self, ids: Sequence[str]) -> list[str]:
            return []

        async def add(self, item: Item, stages: Stages) -> Stored:
            named.append(item.collection)
            return await items.add(item, stages)

    rows = RowStore(Noting(), (), {}, concurrency=1, collection="holidays")  # type: ignore[arg-type]
    await rows.write([Work(ROW)])
    assert named == ["holidays"]


async def test_rows_become_what_an_upload_would_make_of_them(tmp_path: Path) -> None:
    rows, items, _ = store(tmp_path)
    photo = Row("b.jpg", image=picture("JPEG"))
    assert await rows.write([Work(ROW), Work(photo)]) == [
        Written("indexed", "seven"),
        Written("indexed", content_id(photo.image, None)),
    ]
    stored = (await items.get("seven")).payload
    assert (stored.text, stored.source, stored.tags) == ("ein Boot, 船", "camera", ("all", "x", "海"))
    assert stored.metadata == {"run": 1, **ROW.metadata}
    other = (await items.get(content_id(photo.image, None))).payload
    assert (other.source, other.metadata) == ("b.jpg", {"run": 1})
    assert await items.image(str(other.media)) == photo.image


async def test_what_is_there_is_not_encoded_and_keeps_what_it_has(tmp_path: Path) -> None:
    rows, items, port = store(tmp_path)
    first = Row("a", text="a boat", tags=("old",))
    (written,) = await rows.write([Work(first)])
    assert isinstance(written, Written)
    encoded = len(port.seen)
    assert await rows.write([Work(Row("b", text="a boat", tags=("new",)))]) == [Written("skipped", written.id)]
    assert len(port.seen) == encoded
    assert (await items.get(written.id)).payload.tags == ("all", "old")


async def test_a_bad_row_fails_alone(tmp_path: Path) -> None:
    rows, *_ = store(tmp_path)
    bad = [
        Row("cut.png", image=picture()[:40]),
        Row("no id", id="not an id!", text="a"),
        Row("key", text="b", metadata={"no key!": 1}),
        Row("nul", text="a\0b" * 10_000),
    ]
    *failed, good = await rows.write([*map(Work, bad), Work(Row("good", text="good"))])
    assert [outcome.source for outcome in failed if isinstance(outcome, Failure)] == [row.name for row in bad]
    assert isinstance(good, Written)


async def test_a_busy_cluster_is_waited_for(tmp_path: Path) -> None:
    rows, *_ = store(tmp_path, refusals=2)
    assert [type(outcome) for outcome in await rows.write([Work(Row("a", text="a"))])] == [Written]


async def test_patience_ends(tmp_path: Path) -> None:
    rows, *_ = store(tmp_path, refusals=10**9, patience_s=0.2)
    with pytest.raises(Overloaded):
        await rows.write([Work(Row("a", text="a"))])


class FullDisk(FolderMedia):
    def put(self, data: bytes) -> str:
        raise StorageFull("no room left")


async def test_a_full_disk_ends_the_run_at_once(tmp_path: Path) -> None:
    rows, *_ = store(tmp_path, media=FullDisk(tmp_path))
    with pytest.raises(StorageFull):
        await asyncio.wait_for(rows.write([Work(Row("a", image=picture()))]), 10)


def test_which_way_is_chosen(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    photo = tmp_path / "a.png"
    photo.write_bytes(picture())
    shards = find_sources([photo]).shards
    url = "http://127.0.0.1:8000"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        head = f"127.0.0.1:{listening.getsockname()[1]}"
        assert choose_address("auto", None, url, settings, shards) is None
        assert choose_address("http", head, url, settings, shards) is None
        assert choose_address("auto", head, url, settings, shards) == head
        in_memory = [replace(shards[0], name="memory://a.png", place="memory://a.png")]
        with pytest.raises(ClusterError, match="in this process alone"):
            choose_address("ray", head, url, settings, in_memory)
    with pytest.raises(ClusterError, match="--ray-address"):
        choose_address("ray", None, url, settings, shards)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "nonsense", "auto", ":6379"])
def test_an_address_where_no_ray_is_says_so_at_once(tmp_path: Path, address: str) -> None:
    with pytest.raises(ClusterError, match=r"does not answer|host:port"):
        choose_address("ray", address, "http://127.0.0.1:8000", Settings(data_dir=tmp_path), [])
