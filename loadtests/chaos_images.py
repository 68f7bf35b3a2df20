"""Send damaged images through the whole HTTP API, in one process: no 500, no hang, no memory that stays.

    python -m loadtests.chaos_images [--cases 20000] [--seed 7] [--output FILE]

Each case is one of `loadtests.hostile_images`, sent as a person's or a program's image would be: stored (and then its
thumbnail and file fetched, and deleted), searched by, embedded, or matched. Every answer must be one of the API's own,
below 500 and in time; every 100 cases a good image must still be stored and found. Exits 1 where one is not, with the
numbers of the cases.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.encoder import EncoderWorker
from deployments.local import LocalEncoder, LocalIndex
from deployments.prepare_pool import PreparePool
from deployments.services import build_services
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from loadtests.hostile_images import hostile_image, whole_images
from loadtests.report import circumstances, write_report
from retrieval import FolderMedia
from retrieval.memory import MemoryIndex

HANG_S = 10.0
GOOD_EVERY = 100
WARM_SHARE = 0.5
"""Of the cases, before memory is looked at: allocators and caches fill up first."""
GROWTH_MIB = 32.0
"""More than that from then on is growth, over 20,000 cases at least; what the allocator keeps comes and goes."""
WAYS = ("item", "search", "embed", "match")


@dataclass
class Tally:
    """What came of the cases."""

    cases: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    rss_mib: list[float] = field(default_factory=list)

    @property
    def growth_mib(self) -> float:
        """From the end of the warm part to the last."""
        warm = self.rss_mib[int(len(self.rss_mib) * WARM_SHARE)] if self.rss_mib else 0.0
        return self.rss_mib[-1] - warm if self.rss_mib else 0.0


@asynccontextmanager
async def api_over(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The HTTP API with the fake encoder, which decodes as all encoders do, and an index in memory."""
    encoder = FakeEncoder(limits=ImageLimits())
    worker = EncoderWorker(encoder, BatchLimits(), pool=PreparePool(encoder.preparer, 1))
    index = LocalIndex(MemoryIndex(encoder.info.dim))
    services = build_services(LocalEncoder(worker), index, FolderMedia(folder), encoder.info, ImageLimits())
    transport = httpx.ASGITransport(build_api(services, HttpLimits()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://crossray") as http:
        yield http
    await worker.close()


async def run(http: httpx.AsyncClient, cases: int, seed: int) -> Tally:
    """Sends the cases, one after another."""
    tally = Tally()
    process = psutil.Process()
    for number in range(cases):
        data = hostile_image(seed, number)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(HANG_S):
                answer = await _send(http, data, WAYS[number % len(WAYS)])
        except TimeoutError:
            answer = f"no answer within {HANG_S:g} s"
        tally.cases += 1
        tally.answers[answer] += 1
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - started)
        if not answer.startswith(("2", "4")):
            tally.faults.append(f"case {number}: {answer}")
        if number % GOOD_EVERY == GOOD_EVERY - 1:
            tally.rss_mib.append(process.memory_info().rss / 2**20)
            if not await _serves(http):
                tally.faults.append(f"after case {number} a good image was not stored and found")
    return tally


async def _send(http: httpx.AsyncClient, data: bytes, way: str) -> str:
    """The status and the error's code."""
    if way == "item":
        return await _store(http, data)
    if way == "search":
        answer = await http.post("/v1/search", files={"image": data})
    elif way == "embed":
        answer = await http.post("/v1/embeddings", json={"input": [{"image": base64.b64encode(data).decode()}]})
    else:
        images = [base64.b64encode(one).decode() for one in (data, whole_images()[0])]
        answer = await http.post("/v1/match", json={"texts": ["a"], "images": images})
    return _outcome(answer)


async def _store(http: httpx.AsyncClient, data: bytes) -> str:
    answer = await http.post("/v1/items", files={"image": data})
    if answer.is_success:
        where = f"/v1/items/{answer.json()['id']}"
        for path in (f"{where}/thumbnail", f"{where}/image", where):
            if not (fetched := await http.get(path)).is_success:
                return f"500 stored, and then {path.rpartition('/')[2][:9]}: {_outcome(fetched)}"
        await http.delete(where)
    return _outcome(answer)


def _outcome(answer: httpx.Response) -> str:
    try:
        error: dict[str, Any] = answer.json().get("error", {})
    except ValueError:
        return f"{answer.status_code} and no JSON"
    return f"{answer.status_code} {error.get('code', '')}".strip()


async def _serves(http: httpx.AsyncClient) -> bool:
    stored = await http.post("/v1/items", files={"image": whole_images()[5]})
    if not stored.is_success:
        return False
    id = stored.json()["id"]
    found = await http.post("/v1/search", json={"id": id})
    await http.delete(f"/v1/items/{id}")
    return found.is_success


def main() -> None:
    parser = argparse.ArgumentParser(description="Send damaged images through the API.")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    begun, started = circumstances(), time.perf_counter()

    async def go() -> Tally:
        with tempfile.TemporaryDirectory() as folder:
            async with api_over(Path(folder)) as http:
                return await run(http, arguments.cases, arguments.seed)

    tally = asyncio.run(go())
    grows = tally.growth_mib > GROWTH_MIB
    figures = {
        "cases": tally.cases,
        "seed": arguments.seed,
        "answers": dict(tally.answers.most_common()),
        "faults": tally.faults[:100],
        "slowest_s": round(tally.slowest_s, 3),
        "rss_mib_at_each_twentieth": [round(mib) for mib in tally.rss_mib[:: max(1, len(tally.rss_mib) // 20)]],
        "growth_mib_in_the_second_half": round(tally.growth_mib, 1),
        "wall_s": round(time.perf_counter() - started, 1),
    }
    write_report(arguments.output, figures, begun)
    for name, value in figures.items():
        print(f"{name}: {value}")
    if tally.faults or grows:
        sys.exit("FAILED" + (f": memory grew by {tally.growth_mib:.0f} MiB" if grows else ""))


if __name__ == "__main__":
    main()
