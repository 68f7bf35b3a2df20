"""What the embedding cache saves and what it costs, through the port that the services use.

    python -m loadtests.bench_cache [--encoder fake] [--photos 500] [--redis redis://127.0.0.1:6379] [--output FILE]

* `hit`: time from a request to its vector, one client, each key once, so that the store itself answers; and the same
  keys again, which the table of recent vectors answers.
* `miss_cost`: CPU milliseconds of this process a request, 32 clients and never the same input, with the cache and
  without. The encoder is the fake one and does no work, so the difference is the cache's own cost.
* `second_indexing`: the same photos indexed twice, the second time into a fresh index: forward batches and seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from deployments.batch_queue import BatchLimits
from deployments.cached import CachedEncoder, CacheOptions, open_cached
from deployments.encoder import EncoderWorker, EncodeTask
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.local import LocalEncoder, LocalIndex
from deployments.ports import EncodePort
from deployments.prepare_pool import PreparePool
from deployments.schemas.items import Item
from deployments.stages import Stages
from encoders import Encoder, EncoderInput
from encoders.images import ImageLimits
from encoders.registry import load_encoder
from loadtests.report import circumstances, write_report
from retrieval import FolderMedia, open_index

CLIENTS = 32
HITS = 1000
MISSES = 4000
DIM = 512


def cpu_s() -> float:
    """CPU seconds of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def photo(seed: int, side_px: int = 256) -> bytes:
    """A JPEG of coloured noise, unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((side_px, side_px)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{q}_ms": round(float(np.percentile(seconds, q)) * 1000, 3) for q in (50, 99)}


class Bench:
    """The encoder, its worker, and the store under test."""

    def __init__(self, encoder: Encoder, folder: Path, redis_url: str | None) -> None:
        self._encoder = encoder
        self._folder = folder
        self._redis_url = redis_url
        self.batches = 0

    def _count(self, items: int, tokens: int, seconds: float) -> None:
        self.batches += 1

    @asynccontextmanager
    async def port(self, *, cached: bool) -> AsyncIterator[EncodePort]:
        """The encoder as a port, behind the cache or not; opened anew, so nothing is remembered in the process."""
        pool = PreparePool(self._encoder.preparer, 2)
        worker = EncoderWorker(self._encoder, BatchLimits(max_batch_size=16), pool=pool, on_batch=self._count)
        port: EncodePort = LocalEncoder(worker)
        cache: CachedEncoder | None = None
        if cached:
            redis = self._redis_url is not None
            options = CacheOptions(
                "redis" if redis else "sqlite", self._folder / "cache.sqlite3", 256 << 20, self._redis_url
            )
            port = cache = open_cached(
                port, options, self._encoder.info, on_lookup=lambda result, count: None, on_error=self._failed
            )
        try:
            yield port
        finally:
            if cache is not None:
                await cache.close()
            await worker.close()

    @staticmethod
    def _failed(operation: str) -> None:
        print(f"cache error: {operation}", flush=True)


async def in_parallel(jobs: Sequence[Callable[[], Awaitable[Any]]], clients: int) -> None:
    """Each client takes the next job when its last is done."""
    waiting = iter(jobs)

    async def client() -> None:
        for job in waiting:
            await job()

    await asyncio.gather(*(client() for _ in range(clients)))


async def hit_latency(bench: Bench, inputs: Sequence[EncoderInput]) -> dict[str, Any]:
    async with bench.port(cached=True) as port:
        for item in inputs:
            await port.encode([EncodeTask(item, "query")])
    before = bench.batches
    answer: dict[str, Any] = {}
    async with bench.port(cached=True) as port:
        for name in ("store", "recent"):
            seconds, cpu = [], cpu_s()
            for item in inputs:
                started = time.perf_counter()
                await port.encode([EncodeTask(item, "query")])
                seconds.append(time.perf_counter() - started)
            answer[name] = percentiles_ms(seconds) | {"cpu_ms": round((cpu_s() - cpu) / len(inputs) * 1000, 3)}
    return answer | {"encoded": bench.batches - before}


async def miss_cost(bench: Bench, inputs: Callable[[str], Sequence[EncoderInput]]) -> dict[str, Any]:
    """Alternates with and without, so that what else the machine does falls on both."""
    cost: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(3):
        for cached in (True, False):
            fresh = inputs(f"{turn} {cached}")
            async with bench.port(cached=cached) as port:
                before = cpu_s()
                await in_parallel([partial(port.encode, [EncodeTask(item, "query")]) for item in fresh], CLIENTS)
            cost[cached].append((cpu_s() - before) / len(fresh) * 1000)
    with_ms, without_ms = float(np.median(cost[True])), float(np.median(cost[False]))
    return {
        "with_cpu_ms": round(with_ms, 3),
        "without_cpu_ms": round(without_ms, 3),
        "cost_cpu_ms": round(with_ms - without_ms, 3),
    }


async def second_indexing(bench: Bench, encoder: Encoder, photos: Sequence[bytes], folder: Path) -> dict[str, Any]:
    answer: dict[str, Any] = {"photos": len(photos)}
    for turn in ("first", "second"):
        index = await open_index("memory", dim=encoder.info.dim, contract_json=encoder.info.contract.to_json())
        before, started = bench.batches, time.perf_counter()
        async with bench.port(cached=True) as port:
            rows, limits = LocalIndex(index), ImageLimits()
            files = ItemFiles(FolderMedia(folder / turn), rows, limits, sole_writer=True)
            items = ItemService(port, rows, files, encoder.info, limits)
            await in_parallel([partial(items.add, Item(image=data), Stages()) for data in photos], CLIENTS)
        answer[turn] = {
            "forward_batches": bench.batches - before,
            "seconds": round(time.perf_counter() - started, 2),
            "stored": await index.count(),
        }
    return answer


async def run(encoder_name: str, photos: int, redis_url: str | None, models: Path | None) -> dict[str, Any]:
    fake = load_encoder("fake", dim=DIM)
    answer: dict[str, Any] = {"store": "redis" if redis_url else "sqlite", "dim": DIM}
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(fake, Path(name), redis_url)
        texts = [EncoderInput(text=f"a query with the number {i}") for i in range(HITS)]
        pictures = [EncoderInput(image=photo(i)) for i in range(HITS // 4)]
        answer["image_bytes"] = len(pictures[0].image or b"")
        answer["hit"] = {"text": await hit_latency(bench, texts), "image": await hit_latency(bench, pictures)}
        answer["miss_cost"] = await miss_cost(
            bench, lambda turn: [EncoderInput(text=f"{turn}: never asked before {i}") for i in range(MISSES)]
        )
        options = {} if encoder_name == "fake" else {"cache_dir": models or Path(name) / "models"}
        encoder = load_encoder(encoder_name, **options)
        bench = Bench(encoder, Path(name), redis_url)
        drawn = [photo(10_000 + i) for i in range(photos)]
        answer["second_indexing"] = {"encoder": encoder_name} | await second_indexing(bench, encoder, drawn, Path(name))
        encoder.close()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="fake", help="for the second indexing")
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--redis", help="a Redis on loopback, instead of a SQLite file; its keys are added to")
    parser.add_argument("--models", type=Path, help="where the starter keeps its exported models")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    begun = circumstances()
    answer = asyncio.run(run(arguments.encoder, arguments.photos, arguments.redis, arguments.models))
    print(json.dumps(answer, indent=2))
    write_report(arguments.output, answer, begun)


if __name__ == "__main__":
    main()
