"""The port with a cache in front: nothing is encoded twice, and nobody suffers from somebody else's call."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments import cached
from deployments.batch_queue import BatchLimits
from deployments.cached import CachedEncoder, CacheOptions, open_cached
from deployments.encoder import EncodeOutcome, EncoderWorker, EncodeTask
from deployments.errors import Overloaded
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.ports import EncodePort
from deployments.prepare_pool import PreparePool
from deployments.rewriting import QueryRewriter
from deployments.schemas.items import Item
from deployments.schemas.search import SearchRequest
from deployments.search import SearchService
from deployments.stages import Stages
from encoders import EncoderInput, InputError, Vectors
from encoders.cache import SqliteCache
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from encoders.queries.rewrite import PLAIN
from retrieval import FolderMedia, open_index

FAKE = FakeEncoder()


def text(words: str, lane: str = "interactive") -> EncodeTask:
    return EncodeTask(EncoderInput(text=words), "query", lane)  # type: ignore[arg-type]


class Port:
    """A port that counts, and that waits or fails when it is told to."""

    def __init__(self) -> None:
        self.calls: list[list[EncodeTask]] = []
        self.arrived = asyncio.Semaphore(0)
        """Counts up with each call, before it waits at the gate."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        self.calls.append(list(tasks))
        self.arrived.release()
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise Overloaded("the encoder is busy")
        return [self._one(task) for task in tasks]

    @property
    def encoded(self) -> list[str]:
        return [task.input.text or "" for call in self.calls for task in call]

    @staticmethod
    def _one(task: EncodeTask) -> EncodeOutcome:
        try:
            vector = FAKE.forward([FAKE.preparer(task.input, task.role)])[0]
        except InputError as error:
            return EncodeOutcome(None, error, {"preprocess": 0.001})
        return EncodeOutcome(vector, None, {"encode": 0.01})


class Seen:
    def __init__(self) -> None:
        self.lookups: dict[str, int] = {}

    def __call__(self, result: str, count: int) -> None:
        self.lookups[result] = self.lookups.get(result, 0) + count


@asynccontextmanager
async def opened(port: EncodePort, folder: Path, seen: Seen | None = None) -> AsyncIterator[CachedEncoder]:
    """Without the guard, whose timeouts a busy machine may run into."""
    store = SqliteCache(folder / "cache.sqlite3", FAKE.info.dim, max_bytes=64 << 20)
    cache = CachedEncoder(port, store, FAKE.info.contract.fingerprint, on_lookup=seen or Seen())
    try:
        yield cache
    finally:
        await cache.close()


async def test_a_vector_is_encoded_once_and_found_again_also_by_another_process(tmp_path: Path) -> None:
    port, seen = Port(), Seen()
    async with opened(port, tmp_path, seen) as encoder:
        first = (await encoder.encode([text("a dog")]))[0]
        again = (await encoder.encode([text("a dog")]))[0]
    async with opened(port, tmp_path, seen) as encoder:
        stored = (await encoder.encode([text("a dog")]))[0]
    assert port.encoded == ["a dog"]
    assert set(first.stages_s) == {"cache", "encode"}
    for hit in (again, stored):
        assert set(hit.stages_s) == {"cache"}
        assert np.array_equal(hit.unwrap(), first.unwrap())
    assert seen.lookups == {"miss": 1, "hit": 2}


async def test_only_the_misses_travel_and_in_one_call(tmp_path: Path) -> None:
    port = Port()
    async with opened(port, tmp_path) as encoder:
        await encoder.encode([text("b"), text("d")])
        outcomes = await encoder.encode([text(word) for word in "abcdea"])
    assert [[task.input.text for task in call] for call in port.calls] == [["b", "d"], ["a", "c", "e"]]
    expected = FAKE.forward([FAKE.preparer(EncoderInput(text=word), "query") for word in "abcdea"])
    assert np.array_equal(np.stack([outcome.unwrap() for outcome in outcomes]), expected)


async def test_a_hundred_equal_requests_encode_once(tmp_path: Path) -> None:
    port, seen = Port(), Seen()
    port.gate.clear()
    async with opened(port, tmp_path, seen) as encoder:
        requests = [asyncio.create_task(encoder.encode([text("the same")])) for _ in range(100)]
        await port.arrived.acquire()
        port.gate.set()
        answers = await asyncio.gather(*requests)
    assert port.encoded == ["the same"]
    assert all(np.array_equal(answer[0].unwrap(), answers[0][0].unwrap()) for answer in answers)
    assert seen.lookups == {"miss": 1, "shared": 99}


async def test_cancelling_the_first_does_not_cancel_the_others(tmp_path: Path) -> None:
    port = Port()
    port.gate.clear()
    async with opened(port, tmp_path) as encoder:
        first, *others = [asyncio.create_task(encoder.encode([text("the same")])) for _ in range(10)]
        await port.arrived.acquire()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        port.gate.set()
        answers = await asyncio.gather(*others)
    assert [answer[0].error for answer in answers] == [None] * 9
    assert port.encoded == ["the same"]


async def test_a_failure_is_the_leaders_and_the_others_try_once_more(tmp_path: Path) -> None:
    port = Port()
    port.gate.clear()
    port.failures = 1
    async with opened(port, tmp_path) as encoder:
        requests = [asyncio.create_task(encoder.encode([text("the same")])) for _ in range(10)]
        await port.arrived.acquire()
        port.gate.set()
        answers = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(answers[0], Overloaded)
    assert not any(isinstance(answer, BaseException) for answer in answers[1:])
    assert port.encoded == ["the same"] * 2, "the nine shared their second try"


async def test_when_it_fails_again_everyone_hears_of_it_and_nothing_is_stuck(tmp_path: Path) -> None:
    port = Port()
    port.gate.clear()
    port.failures = 2
    async with opened(port, tmp_path) as encoder:
        requests = [asyncio.create_task(encoder.encode([text("the same")])) for _ in range(10)]
        await port.arrived.acquire()
        port.gate.set()
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert all(isinstance(answer, Overloaded) for answer in answers)
        assert (await encoder.encode([text("the same")]))[0].error is None


async def test_a_search_does_not_wait_for_bulk_work_on_the_same_input(tmp_path: Path) -> None:
    port = Port()
    port.gate.clear()
    async with opened(port, tmp_path) as encoder:
        bulk = asyncio.create_task(encoder.encode([text("the same", "bulk")]))
        await port.arrived.acquire()
        search = asyncio.create_task(encoder.encode([text("the same")]))
        await port.arrived.acquire()
        assert [call[0].lane for call in port.calls] == ["bulk", "interactive"]
        port.gate.set()
        await asyncio.gather(bulk, search)


async def test_an_inputs_error_is_its_own_and_is_not_kept(tmp_path: Path) -> None:
    port = Port()
    async with opened(port, tmp_path) as encoder:
        for _ in range(2):
            good, bad = await encoder.encode([text("good"), text("")])
            assert good.error is None
            assert isinstance(bad.error, InputError)
    assert port.encoded == ["good", "", ""]


async def test_an_image_that_is_hashed_on_a_thread_is_found_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cached, "HASH_HERE_BYTES", 10)
    port = Port()
    task = EncodeTask(EncoderInput(image=photo(0)), "document", "bulk")
    async with opened(port, tmp_path) as encoder:
        await encoder.encode([task])
        hit = (await encoder.encode([task]))[0]
    assert len(port.calls) == 1
    assert set(hit.stages_s) == {"cache"}


class BlockedStore:
    """Finds nothing, and does not finish a write before it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.written = 0

    async def get_many(self, keys: Sequence[bytes]) -> list[Vectors | None]:
        return [None for _ in keys]

    async def put_many(self, entries: Mapping[bytes, Vectors]) -> None:
        self.asked.set()
        await self.let.wait()
        self.written += len(entries)

    async def close(self) -> None:
        self.let.set()


async def test_a_store_that_takes_nothing_costs_vectors_and_never_a_request(monkeypatch) -> None:
    monkeypatch.setattr(cached, "MAX_UNSTORED", 4)
    monkeypatch.setattr(cached, "STORE_PAUSE_S", 0.0)
    port, store, dropped = Port(), BlockedStore(), list[None]()
    encoder = CachedEncoder(port, store, "f", on_dropped=lambda: dropped.append(None))
    await encoder.encode([text("before")])
    await store.asked.wait()
    for number in range(10):
        assert (await encoder.encode([text(f"text {number}")]))[0].error is None
    assert len(dropped) == 6
    store.let.set()
    await encoder.close()
    assert store.written == 5


async def test_a_whole_batch_is_written_without_a_pause(monkeypatch) -> None:
    """So that what is written a second is what the store can take, and not a batch a pause."""
    monkeypatch.setattr(cached, "STORE_ITEMS", 2)
    monkeypatch.setattr(cached, "STORE_PAUSE_S", 3600.0)
    store = BlockedStore()
    store.let.set()
    encoder = CachedEncoder(Port(), store, "f")
    await encoder.encode([text("a"), text("b"), text("c"), text("d")])
    async with asyncio.timeout(10):  # and not an hour
        await encoder.close()
    assert store.written == 4


def photo(seed: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Indexer:
    """Indexes photos by name into a fresh index each time, with a cache and an encoder that last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.batches = 0

    async def index(self, photos: Mapping[str, bytes]) -> tuple[int, dict[str, float]]:
        """How many forward batches ran, and where the time of a search by one of the photos went."""
        before = self.batches
        worker = EncoderWorker(
            FAKE, BatchLimits(), pool=PreparePool(FAKE.preparer, 1), on_batch=lambda *batch: self._count()
        )
        index = await open_index("memory", dim=FAKE.info.dim, contract_json=FAKE.info.contract.to_json())
        stages = Stages()
        async with opened(LocalEncoder(worker), self._folder) as port:
            store, limits = FolderMedia(self._folder / "media"), ImageLimits()
            files = ItemFiles(store, LocalIndex(index), limits, sole_writer=True)
            items = ItemService(port, LocalIndex(index), files, FAKE.info, limits)
            stored = await asyncio.gather(
                *(items.add(Item(image=data, source=name), Stages()) for name, data in photos.items())
            )
            assert {one.outcome for one in stored} == {"created"}
            batches = self.batches - before
            await port.encode([text("warm")])
            service = SearchService(port, LocalIndex(index), FAKE.info, rewriter=QueryRewriter(PLAIN))
            await service.search(SearchRequest(text="warm"), stages)
        await worker.close()
        return batches, stages.laps_s()

    def _count(self) -> None:
        self.batches += 1


async def test_a_second_indexing_runs_no_encoder_and_a_changed_file_does(tmp_path: Path) -> None:
    indexer = Indexer(tmp_path)
    photos = {f"photo-{n}.png": photo(n) for n in range(30)}
    first, laps = await indexer.index(photos)
    assert first > 0
    assert "cache" in laps, "it shows in Server-Timing"
    assert "encode" not in laps
    assert (await indexer.index(photos))[0] == 0
    assert (await indexer.index(photos | {"photo-7.png": photo(1000)}))[0] == 1


async def test_a_cache_that_cannot_be_opened_is_counted_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("not a folder")
    errors: list[str] = []
    options = CacheOptions("sqlite", tmp_path / "a file" / "cache.sqlite3", 64 << 20, None)
    encoder = open_cached(Port(), options, FAKE.info, on_lookup=Seen(), on_error=errors.append)
    assert (await encoder.encode([text("a dog")]))[0].error is None
    await encoder.close()
    assert errors[0] == "get"


async def test_the_store_alone_holds_the_vectors_under_the_contracts_fingerprint(tmp_path: Path) -> None:
    async with opened(Port(), tmp_path) as encoder:
        await encoder.encode([text("a dog")])
    store = SqliteCache(tmp_path / "cache.sqlite3", FAKE.info.dim, max_bytes=64 << 20)
    task = text("a dog")
    keys = [cached.cache_key(task.input, task.role, mark) for mark in (FAKE.info.contract.fingerprint, "another")]
    found = await store.get_many(keys)
    await store.close()
    assert [vector is not None for vector in found] == [True, False]
