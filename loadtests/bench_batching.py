"""Whether batches form under load, wait for nobody when idle, and let searches overtake bulk work.

    python -m loadtests.bench_batching --output loadtests/results/bench_batching.json

The encoder is the fake one with a fixed amount of work, slept, so that the figures say what serving adds to a device
and not how fast this machine is. Texts are never sent twice. The bare encoder is called in a loop with full batches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from encoders import EncoderInput, encode
from encoders.fake import FakeEncoder
from loadtests.inputs import fresh_numbers, text
from loadtests.load import LoadReport, closed_loop, json_request
from loadtests.report import circumstances, write_report
from loadtests.server_process import ServerProcess, running_cluster

WORK_S = 0.1
BATCH = 8
WARM_S = 1.0
CLIENTS = 16
ITEMS_A_CALL = 16
CALLERS = 4
BULK_ITEMS = 64
BULK_CLIENTS = 4
PROBES = 100

TARGET_ITEMS_PER_S = 70.0
TARGET_LONE = 1.3
TARGET_OF_BARE = 0.85


class Texts:
    """Requests with texts that are never sent twice."""

    def __init__(self) -> None:
        self._numbers = fresh_numbers()

    def search(self, _: int) -> bytes:
        return json_request("/v1/search", {"text": text(next(self._numbers))})

    def embed(self, items: int) -> Callable[[int], bytes]:
        """Calls of `items` texts; more than eight travel in the bulk lane."""

        def make(_: int) -> bytes:
            inputs = [text(next(self._numbers)) for _ in range(items)]
            return json_request("/v1/embeddings", {"input": inputs, "encoding_format": "base64"})

        return make


@contextmanager
def running(options: dict[str, float]) -> Iterator[ServerProcess]:
    settings = {"CROSSRAY_ENCODER__OPTIONS": json.dumps(options), "CROSSRAY_ENCODER__MAX_BATCH_SIZE": str(BATCH)}
    with running_cluster("fake", settings) as process:
        yield process


def loop(process: ServerProcess, make: Callable[[int], bytes], clients: int, seconds: float) -> LoadReport:
    """A measurement after a warm-up of the same load."""
    asyncio.run(closed_loop(process.url, make, clients=clients, seconds=WARM_S))
    return asyncio.run(closed_loop(process.url, make, clients=clients, seconds=seconds))


def bare_items_per_s(options: dict[str, float], batches: int = 20) -> float:
    """The encoder alone, in full batches, in this process."""
    encoder = FakeEncoder(**options)  # type: ignore[arg-type]
    started = perf_counter()
    for batch in range(batches):
        encode(encoder, [EncoderInput(text(batch * BATCH + row)) for row in range(BATCH)], "document")
    return batches * BATCH / (perf_counter() - started)


def under_load(process: ServerProcess, texts: Texts, seconds: float) -> dict[str, Any]:
    report = loop(process, texts.search, CLIENTS, seconds)
    sizes = Counter(report.batch_sizes())
    return {
        "clients": CLIENTS,
        "items_per_s": report.per_second,
        "p50_ms": report.percentile_ms(50),
        "batches_by_size": {str(size): sizes[size] for size in sorted(sizes)},
    }


def alone(process: ServerProcess, texts: Texts) -> dict[str, Any]:
    report = asyncio.run(closed_loop(process.url, texts.search, clients=1, seconds=60, most=PROBES))
    p50_ms = report.percentile_ms(50)
    return {"p50_ms": p50_ms, "p99_ms": report.percentile_ms(99), "p50_by_work": p50_ms / (WORK_S * 1000)}


def against_bare(
    process: ServerProcess, make: Callable[[int], bytes], options: dict[str, float], clients: int, items: int, s: float
) -> dict[str, Any]:
    bare = bare_items_per_s(options)
    served = loop(process, make, clients, s).per_second * items
    return {"clients": clients, "items_a_call": items, "items_per_s": served, "bare": bare, "of_bare": served / bare}


async def _probe_under_bulk(url: str, texts: Texts) -> tuple[LoadReport, LoadReport]:
    """Searches one after another while bulk calls keep their lane full. The searches, and the bulk calls."""
    bulk = asyncio.create_task(
        closed_loop(url, texts.embed(BULK_ITEMS), clients=BULK_CLIENTS, seconds=PROBES * 2.2 * WORK_S)
    )
    await asyncio.sleep(1)
    searches = await closed_loop(url, texts.search, clients=1, seconds=PROBES * 2 * WORK_S, most=PROBES)
    return searches, await bulk


def lanes(process: ServerProcess, texts: Texts, idle_p99_ms: float) -> dict[str, Any]:
    searches, bulk = asyncio.run(_probe_under_bulk(process.url, texts))
    allowed_ms = 2 * idle_p99_ms + WORK_S * 1000
    return {
        "searches": len(searches.answers),
        "bulk_items_per_s": bulk.per_second * BULK_ITEMS,
        "idle_p99_ms": idle_p99_ms,
        "p50_ms": searches.percentile_ms(50),
        "p99_ms": searches.percentile_ms(99),
        "allowed_p99_ms": allowed_ms,
    }


def verdicts(sections: dict[str, Any]) -> dict[str, bool]:
    """Which targets were met in this run."""
    found = {
        f"{CLIENTS} clients: at least {TARGET_ITEMS_PER_S:g} items/s": (
            sections["under_load"]["items_per_s"] >= TARGET_ITEMS_PER_S
        ),
        f"one client: p50 at most {TARGET_LONE:g} × the work": sections["alone"]["p50_by_work"] <= TARGET_LONE,
        "searches overtake bulk: p99 at most 2 × idle p99 + one batch": (
            sections["lanes"]["p99_ms"] <= sections["lanes"]["allowed_p99_ms"]
        ),
    }
    for name in ("sixteen_items_a_call", "work_per_item"):
        found[f"{name}: at least {TARGET_OF_BARE:.0%} of the bare encoder"] = (
            sections[name]["of_bare"] >= TARGET_OF_BARE
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each throughput measurement")
    arguments = parser.parse_args()
    begun, texts, seconds = circumstances(), Texts(), arguments.seconds
    sections: dict[str, Any] = {"work_s": WORK_S, "max_batch_size": BATCH}
    per_batch, per_item = {"work_s": WORK_S}, {"work_per_item_s": WORK_S}
    with running(per_batch) as process:
        sections["alone"] = alone(process, texts)
        sections["under_load"] = under_load(process, texts, seconds)
        sections["sixteen_items_a_call"] = against_bare(
            process, texts.embed(ITEMS_A_CALL), per_batch, CALLERS, ITEMS_A_CALL, seconds
        )
        sections["lanes"] = lanes(process, texts, sections["alone"]["p99_ms"])
    with running(per_item) as process:
        sections["work_per_item"] = against_bare(process, texts.search, per_item, CLIENTS, 1, seconds)
    met = verdicts(sections)
    for name, section in sections.items():
        print(f"{name}: {section}")
    print("\n".join(f"{name}: {value}" for name, value in met.items()))
    write_report(arguments.output, {"targets_met": met, **sections}, begun)


if __name__ == "__main__":
    main()
