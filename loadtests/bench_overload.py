"""What happens at twice the capacity: how much is still done, how long the admitted wait, what the rest is told.

    python -m loadtests.bench_overload --output loadtests/results/bench_overload.json

Capacity is measured first, by a closed loop that keeps the server full. Then requests arrive at twice that rate, in an
open loop (`loadtests/open_loop.py`), and at half of it before and after. The encoder is the fake one, once with work
that is slept, so that a device is what is short and this machine's cores are not; and once without any, so that the
cores are, which the generator then takes from the server. The first is the measurement; the second is told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from loadtests.load import closed_loop, json_request
from loadtests.memory import MemoryCurve
from loadtests.open_loop import OpenReport, open_loop, percentile_ms
from loadtests.report import circumstances, table, write_report
from loadtests.server_process import running_cluster

DEVICE_BOUND = {"work_s": 0.02, "work_per_item_s": 0.005}
CPU_BOUND = {"work_s": 0.0}
BATCH, MAX_REQUESTS, WRITES_SHARE = 16, 128, 0.75
CLIENTS = MAX_REQUESTS // 2
CALM_S = 10.0
STORED = 500
TARGET_GOODPUT, TARGET_REFUSAL_MS, TARGET_RECOVERY_S, TARGET_GROWTH = 0.9, 50.0, 5.0, 1.05
SLACK = 1.25
"""Of the bound on the admitted p99: batches are not always full."""


class Requests:
    """Searches for words that nobody searched for before, and notes that nobody stored."""

    def __init__(self) -> None:
        self._numbers = count()

    def search(self, _: int) -> bytes:
        return json_request("/v1/search", {"text": f"query number {next(self._numbers)}", "top_k": 10})

    def write(self, _: int) -> bytes:
        return json_request("/v1/items", {"text": f"note number {next(self._numbers)}"})

    def mixed(self, number: int) -> bytes:
        """Every third one writes."""
        return self.write(number) if number % 3 == 0 else self.search(number)


def measure(options: dict[str, float], seconds: float) -> dict[str, Any]:
    settings = {
        "CROSSRAY_ENCODER__OPTIONS": json.dumps(options),
        "CROSSRAY_ENCODER__MAX_BATCH_SIZE": str(BATCH),
        "CROSSRAY_HTTP__MAX_REQUESTS": str(MAX_REQUESTS),
        "CROSSRAY_HTTP__WRITES_SHARE": str(WRITES_SHARE),
    }
    with running_cluster("fake", settings) as server:
        requests = Requests()
        asyncio.run(closed_loop(server.url, requests.write, clients=16, seconds=60, most=STORED))
        asyncio.run(closed_loop(server.url, requests.search, clients=CLIENTS, seconds=3))
        full = asyncio.run(closed_loop(server.url, requests.search, clients=CLIENTS, seconds=CALM_S))
        capacity = full.per_second

        def at(share: float, lasts_s: float, make: Callable[[int], bytes]) -> OpenReport:
            return asyncio.run(
                open_loop(server.url, make, rate_per_s=share * capacity, seconds=lasts_s, seed=round(share * 10))
            )

        before = at(0.5, CALM_S, requests.search)
        memory, cpu_s = MemoryCurve(server.pid), server.cpu_s()
        with memory.watching():
            over = at(2.0, seconds, requests.search)
        cpu_s = server.cpu_s() - cpu_s
        after = at(0.5, CALM_S, requests.search)
        mixed = at(2.0, seconds / 4, requests.mixed)
        return summary(capacity, before, over, after, memory, cpu_s / seconds) | {"mixed": of_mixed(mixed)}


def summary(
    capacity: float, before: OpenReport, over: OpenReport, after: OpenReport, memory: MemoryCurve, cores: float
) -> dict[str, Any]:
    admitted, refused = over.of_status(200), over.of_status(429)
    calm_ms = percentile_ms([one.latency_s for one in before.of_status(200)], 99)
    return {
        "capacity_per_s": capacity,
        "offered_per_s": len(over.sent) / over.seconds,
        "goodput_per_s": over.goodput_per_s(),
        "goodput_of_capacity": over.goodput_per_s() / capacity,
        "statuses": over.statuses(),
        "admitted_p50_ms": percentile_ms([one.latency_s for one in admitted], 50),
        "admitted_p99_ms": percentile_ms([one.latency_s for one in admitted], 99),
        "bound_ms": MAX_REQUESTS / capacity * 1000 * SLACK,
        "refused_p50_ms": percentile_ms([one.latency_s for one in refused], 50),
        "refused_p99_ms": percentile_ms([one.latency_s for one in refused], 99),
        "generator_late_p99_ms": over.generator_late_ms(),
        "calm_p99_ms": calm_ms,
        "recovered_after_s": recovery_s(after, 2 * calm_ms / 1000),
        "server_cores": cores,
        "goodput_per_s_by_5s": by_five_seconds(over),
        **memory.summary(),
        "memory": memory.thinned(),
    }


def recovery_s(after: OpenReport, calm_s: float) -> float:
    """From the end of the overload until the last request that was refused or took longer than `calm_s`; one in a
    hundred may, as before it."""
    slow = sorted(one.due_s for one in after.sent if one.status != 200 or one.latency_s > calm_s)
    allowed = len(after.sent) // 100
    return slow[-1 - allowed] if len(slow) > allowed else 0.0


def by_five_seconds(report: OpenReport) -> list[float]:
    """Whether it sinks with time."""
    bins = [0] * int(report.seconds / 5)
    for one in report.of_status(200):
        if (at := int(one.ended_s / 5)) < len(bins):
            bins[at] += 1
    return [ended / 5 for ended in bins]


def of_mixed(report: OpenReport) -> dict[str, float]:
    """Share of each kind that was let in."""
    shares = {}
    for name, kind in (("writes", True), ("searches", False)):
        statuses = [one.status for one in report.sent if (one.number % 3 == 0) is kind]
        shares[f"{name}_admitted"] = statistics.mean(status // 100 == 2 for status in statuses)
    return shares | {"other_than_2xx_and_429": sum(one.status not in (200, 201, 429) for one in report.sent)}


def verdicts(found: dict[str, Any]) -> dict[str, bool]:
    """Which targets were met in this run."""
    grown = found["mb_last_quarter"] / found["mb_second_quarter"]
    return {
        f"goodput at least {TARGET_GOODPUT:.0%} of capacity": found["goodput_of_capacity"] >= TARGET_GOODPUT,
        "admitted p99 within the bound of the queue": found["admitted_p99_ms"] <= found["bound_ms"],
        "nothing but 200 and 429": set(found["statuses"]) <= {"200", "429"},
        f"429 within {TARGET_REFUSAL_MS:g} ms at p99": found["refused_p99_ms"] <= TARGET_REFUSAL_MS,
        f"memory within {TARGET_GROWTH - 1:.0%}": grown <= TARGET_GROWTH,
        f"recovered within {TARGET_RECOVERY_S:g} s": found["recovered_after_s"] <= TARGET_RECOVERY_S,
        "writes are refused before searches": found["mixed"]["writes_admitted"] < found["mixed"]["searches_admitted"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--no-cpu-bound", action="store_true", help="leave out the run without work")
    arguments = parser.parse_args()
    begun = circumstances()
    sections: dict[str, Any] = {"max_requests": MAX_REQUESTS, "max_batch_size": BATCH}
    sections["device_bound"] = measure(DEVICE_BOUND, arguments.seconds)
    if not arguments.no_cpu_bound:
        sections["cpu_bound"] = measure(CPU_BOUND, arguments.seconds / 2)
    met = verdicts(sections["device_bound"])
    rows = [
        {"bound by": name, **{key: value for key, value in sections[name].items() if isinstance(value, float)}}
        for name in ("device_bound", "cpu_bound")
        if name in sections
    ]
    print("\n".join(table([row]) for row in rows))
    print("\n".join(f"{name}: {value}" for name, value in met.items()))
    if not arguments.no_cpu_bound:
        sections["cpu_bound_met"] = verdicts(sections["cpu_bound"])
        print("\n".join(f"cpu bound, {name}: {value}" for name, value in sections["cpu_bound_met"].items()))
    write_report(arguments.output, {"targets_met": met, **sections}, begun)


if __name__ == "__main__":
    main()
