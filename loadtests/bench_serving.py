"""What serving costs: Crossray and a bare single-process server under the same load, with the same encoder.

    python -m loadtests.bench_serving --output loadtests/results/bench_serving.json

For text search and image upload at 1, 8 and 32 clients: requests a second, p50, p99, and CPU milliseconds a request of
all server processes together; from these the encoder's own are taken off: those of the threads that decode and
encode. What the same batches cost the encoder alone, in a process without a server, stands beside it: with both cores
busy it needs more. The load generator is not among the server's processes. Crossray runs the profile `local`: the
embedded index, flushed to disk before each acknowledgement. The yardstick keeps all in memory.

The section `idle` sends one text search after another to the starter: the answer's time, and how much of it the
stages in `Server-Timing` account for.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from deployments.thread_names import DEVICE, PREPARE
from encoders import Encoder, EncoderInput
from loadtests.encoder_cost import cpu_ms_per_item, encoder_options, open_encoder
from loadtests.inputs import DistinctPhotos, fresh_numbers, text
from loadtests.load import LoadReport, closed_loop, image_request, json_request
from loadtests.report import circumstances, table, write_report
from loadtests.server_process import ServerProcess, running_cluster, running_yardstick

CLIENTS = (1, 8, 32)
SERVERS = ("crossray", "yardstick")
SEED_S = 4.0
IDLE_S = 5.0
WARM_S = 1.0
IDLE_SEARCHES = 100
ENCODING = (DEVICE, PREPARE)
TARGET_CPU_MS = 6.0
TARGET_IDLE_P50_MS = 60.0
TARGET_STAGE_GAP = 0.10


class Load:
    """The two kinds of request, never twice the same, and the encoder's input behind each."""

    def __init__(self, api_key: str = "") -> None:
        self._api_key = api_key
        self._photos = DistinctPhotos()
        self._numbers = fresh_numbers()

    def search(self, _: int) -> bytes:
        return json_request("/v1/search", {"text": text(next(self._numbers)), "top_k": 10}, self._api_key)

    def upload(self, _: int) -> bytes:
        return image_request("/v1/items", self._photos(), self._api_key)

    def text_input(self) -> EncoderInput:
        return EncoderInput(text=text(next(self._numbers)))

    def image_input(self) -> EncoderInput:
        return EncoderInput(image=self._photos())


@contextmanager
def running(server: str, encoder: str) -> Iterator[ServerProcess]:
    if server == "yardstick":
        with running_yardstick(encoder, encoder_options(encoder)) as process:
            yield process
    else:
        with running_cluster("local", {"CROSSRAY_ENCODER__NAME": encoder}) as process:
            yield process


def measure_server(server: str, encoder: Encoder, load: Load, seconds: float) -> list[dict[str, Any]]:
    """One row for each kind of request and number of clients."""
    with running(server, encoder.info.name) as process:
        asyncio.run(closed_loop(process.url, load.upload, clients=8, seconds=SEED_S))
        idle_ms_per_s = _idle_cpu(process)
        rows = []
        for kind, make in (("search", load.search), ("upload", load.upload)):
            for clients in CLIENTS:
                asyncio.run(closed_loop(process.url, make, clients=clients, seconds=WARM_S))
                before, own_before = process.cpu_s(), process.threads_cpu_s(ENCODING)
                report = asyncio.run(closed_loop(process.url, make, clients=clients, seconds=seconds))
                per_request = 1000 / len(report.answers)
                cpu_ms = (process.cpu_s() - before) * per_request
                own_ms = (process.threads_cpu_s(ENCODING) - own_before) * per_request
                row = {"server": server, "request": kind, "clients": clients} | _figures(report, idle_ms_per_s)
                row |= {"cpu_ms": cpu_ms, "encoder_cpu_ms": own_ms, "serving_cpu_ms": cpu_ms - own_ms}
                rows.append(row | _alone(encoder, load, kind, report))
        return rows


def _idle_cpu(process: ServerProcess) -> float:
    time.sleep(1)
    before = process.cpu_s()
    time.sleep(IDLE_S)
    return (process.cpu_s() - before) / IDLE_S * 1000


def _figures(report: LoadReport, idle_ms_per_s: float) -> dict[str, float]:
    return {
        "requests_per_s": report.per_second,
        "p50_ms": report.percentile_ms(50),
        "p99_ms": report.percentile_ms(99),
        "idle_cpu_ms": idle_ms_per_s / report.per_second,
    }


def _alone(encoder: Encoder, load: Load, kind: str, report: LoadReport) -> dict[str, float]:
    """The encoder's CPU at the batch size that was seen, measured at once, as the machine's speed varies."""
    batches = report.batch_sizes()
    batch = max(round(float(np.mean(batches))), 1) if batches else 8
    made: Callable[[], EncoderInput] = load.text_input if kind == "search" else load.image_input
    alone_ms = cpu_ms_per_item(encoder, made, "query" if kind == "search" else "document", batch)
    return {"mean_batch": float(batch), "encoder_alone_cpu_ms": alone_ms}


def measure_idle_search(load: Load) -> dict[str, Any]:
    """Sequential text searches against the starter on a machine that does nothing else."""
    with running("crossray", "starter") as process:
        asyncio.run(closed_loop(process.url, load.upload, clients=4, seconds=2 * SEED_S))
        asyncio.run(closed_loop(process.url, load.search, clients=1, seconds=2 * WARM_S))
        report = asyncio.run(closed_loop(process.url, load.search, clients=1, seconds=120, most=IDLE_SEARCHES))
    stages = [answer.stages_ms() for answer in report.answers]
    totals = np.array([laps.pop("total") for laps in stages])
    sums = np.array([sum(laps.values()) for laps in stages])
    outside = np.array([answer.latency_s * 1000 for answer in report.answers])
    names = list(stages[0])
    return {
        "searches": len(stages),
        "p50_ms": report.percentile_ms(50),
        "p99_ms": report.percentile_ms(99),
        "server_total_p50_ms": float(np.median(totals)),
        "largest_gap_of_stages_to_total": float(np.max(np.abs(totals - sums) / totals)),
        "median_outside_the_ingress_ms": float(np.median(outside - totals)),
        "stage_p50_ms": {name: float(np.median([laps.get(name, 0.0) for laps in stages])) for name in names},
    }


def verdicts(rows: list[dict[str, Any]], idle: dict[str, Any] | None) -> dict[str, bool]:
    """Which targets were met in this run."""
    found = {
        f"{row['encoder']} {row['request']}: at most {TARGET_CPU_MS:g} CPU-ms at {row['clients']} clients": (
            row["serving_cpu_ms"] <= TARGET_CPU_MS
        )
        for row in rows
        if row["server"] == "crossray" and row["clients"] == CLIENTS[-1]
    }
    if idle is not None:
        found[f"idle text search p50 under {TARGET_IDLE_P50_MS:g} ms"] = idle["p50_ms"] < TARGET_IDLE_P50_MS
        found[f"stages within {TARGET_STAGE_GAP:.0%} of the total"] = (
            idle["largest_gap_of_stages_to_total"] <= TARGET_STAGE_GAP
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--encoders", nargs="+", default=["fake", "starter"], help="encoders to serve [fake starter]")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--no-idle", action="store_true", help="leave out the idle search")
    arguments = parser.parse_args()
    begun, load = circumstances(), Load()
    idle = None if arguments.no_idle else measure_idle_search(load)
    rows: list[dict[str, Any]] = []
    for name in arguments.encoders:
        encoder = open_encoder(name)
        for server in SERVERS:
            measured = measure_server(server, encoder, load, arguments.seconds)
            rows += [{"encoder": name, **row} for row in measured]
            # After each server, so that a run that is cut off has told what it measured.
            met = verdicts(rows, idle)
            write_report(arguments.output, {"targets_met": met, "idle_search": idle, "load": rows}, begun)
        encoder.close()
    print(table(rows))
    print("cpu_ms: all server processes; serving_cpu_ms: less encoder_cpu_ms; idle_cpu_ms: what of it idling costs")
    print("\n".join(f"{name}: {value}" for name, value in [*(idle or {}).items(), *verdicts(rows, idle).items()]))


if __name__ == "__main__":
    main()
