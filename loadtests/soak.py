"""An hour of searches and uploads: does memory grow, does p99 creep?

    python -m loadtests.soak --output loadtests/results/soak.json --plot docs/plots/soak.png
    python -m loadtests.soak --minutes 20 --output FILE --plot FILE

A cluster of the profile `local`; locust's Mixed users in the shape `soak` (`loadtests/load_test.py`). Each user keeps
its last uploads and deletes older ones, so that from the first minutes on as much is stored: what grows then is a leak.
Every few seconds the memory of all the server's processes is read: PSS together, RSS of each by itself. The medians of
the second quarter of the time, when all is warm, and of the last are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.inputs import DistinctPhotos
from loadtests.load import closed_loop, image_request
from loadtests.made_up_photos import made_up_photos
from loadtests.memory import MemoryCurve, quarters
from loadtests.report import ROOT, circumstances, table, write_report
from loadtests.server_process import running_cluster
from loadtests.slo import SEARCH_IMAGE, SEARCH_TEXT, UPLOAD

STORED = 500
"""Items that are there from the beginning."""
KINDS = (SEARCH_TEXT, SEARCH_IMAGE, UPLOAD)
REPLICAS = ("Ingress", "Encoder", "Retriever", "Maintenance")
SAMPLES = 720
SLO_EXITS = (0, 1)
TARGET_MEMORY, TARGET_P99, TARGET_PROCESS_MB = 1.05, 1.25, 32.0


def soak(minutes: float, users: int, pace: float, encoder: str) -> tuple[dict[str, Any], MemoryCurve]:
    """What locust reported, and the memory meanwhile."""
    seconds = round(minutes * 60)
    photos = DistinctPhotos(made_up_photos(8))
    with running_cluster("local", {"CROSSRAY_ENCODER__NAME": encoder}) as server, tempfile.TemporaryDirectory() as out:
        upload = closed_loop(
            server.url, lambda _: image_request("/v1/items", photos()), clients=8, seconds=600, most=STORED
        )
        asyncio.run(upload)
        command = [sys.executable, "-m", "loadtests.load_test", "--host", server.url, "--shape", "soak"]
        command += ["--users", str(users), "--pace", str(pace), "--time", f"{seconds}s", "--output", out]
        command += ["--loglevel", "WARNING"]
        memory = MemoryCurve(server.pid, max(seconds / SAMPLES, 1.0))
        with memory.watching():
            ran = subprocess.run(command, cwd=ROOT, check=False)
        if ran.returncode not in SLO_EXITS:
            raise SystemExit(f"the load test ended with {ran.returncode}")
        report: dict[str, Any] = json.loads(Path(out, "report.json").read_text())
    return report, memory


def p99_of(windows: Sequence[Mapping[str, Any]], kind: str) -> list[float]:
    """Of each window in which there were requests of the kind."""
    found = (window["requests"].get(kind, {}).get("p99_ms") for window in windows)
    return [one for one in found if one is not None]


def summary(report: Mapping[str, Any], memory: MemoryCurve) -> dict[str, Any]:
    windows = report["timeline"]
    p99s = {kind: quarters(seen) for kind in KINDS if (seen := p99_of(windows, kind))}
    processes = {name: quarters([mb for _, mb in samples]) for name, samples in memory.resident().items()}
    return {
        "memory": memory.summary(),
        "p99_ms": {kind: {"second_quarter": early, "last_quarter": late} for kind, (early, late) in p99s.items()},
        "resident_mb": {
            name: {"second_quarter": early, "last_quarter": late} for name, (early, late) in processes.items()
        },
        "requests": report["requests"],
        "slo_not_met": report["not_met"],
        "generator_was_busy": report["generator_was_busy"],
        "memory_over_time": memory.thinned(),
        "timeline": windows,
    }


def verdicts(found: Mapping[str, Any]) -> dict[str, bool]:
    """Which targets were met in this run."""
    memory = found["memory"]
    grown = {name: row["last_quarter"] - row["second_quarter"] for name, row in found["resident_mb"].items()}
    return {
        f"memory of all processes within {TARGET_MEMORY - 1:.0%}": (
            memory["mb_last_quarter"] <= TARGET_MEMORY * memory["mb_second_quarter"]
        ),
        f"no process {TARGET_PROCESS_MB:g} MB larger": max(grown.values()) <= TARGET_PROCESS_MB,
        **{
            f"p99 of {kind} within {TARGET_P99 - 1:.0%}": row["last_quarter"] <= TARGET_P99 * row["second_quarter"]
            for kind, row in found["p99_ms"].items()
        },
        "no request failed": all(row["failed"] == 0 for row in found["requests"].values()),
        "none was refused": all(row["shed"] == 0 for row in found["requests"].values()),
    }


def plot(path: Path, found: Mapping[str, Any], memory: MemoryCurve) -> None:
    """A PNG: p99 of each kind, and memory of all and of each process, over minutes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 8), layout="constrained")
    latency, total, processes = figure.subplots(3, 1, sharex=True)
    for kind in KINDS:
        points = [
            (window["until_s"] / 60, window["requests"].get(kind, {}).get("p99_ms")) for window in found["timeline"]
        ]
        latency.plot(*zip(*[point for point in points if point[1] is not None], strict=True), label=kind)
    total.plot(*_minutes(memory.samples()), color="black")
    for name, samples in _told_apart(memory.resident()).items():
        processes.plot(*_minutes(samples), label=name)
    latency.set(ylabel="p99, ms", title="Soak: searches and uploads")
    total.set(ylabel="MB of all processes (PSS)")
    processes.set(ylabel="MB of each (RSS)", xlabel="minutes")
    latency.legend(fontsize=8)
    processes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    for axes in (latency, total, processes):
        axes.set_ylim(0, axes.dataLim.ymax * 1.1)
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _told_apart(curves: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """The replicas by themselves, and all else that Ray runs as one curve."""
    told = {name: list(samples) for name, samples in curves.items() if name in REPLICAS}
    others: Counter[float] = Counter()
    for name, samples in curves.items():
        if name not in REPLICAS:
            others.update(dict(samples))
    return told | {"all else": sorted(others.items())}


def _minutes(samples: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [at / 60 for at, _ in samples], [value for _, value in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="[60]")
    parser.add_argument("--users", type=int, default=20, help="[20]")
    parser.add_argument("--pace", type=float, default=1.0, help="requests a second of each [1]")
    parser.add_argument("--encoder", default="starter", help="[starter]")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    begun = circumstances()
    report, memory = soak(arguments.minutes, arguments.users, arguments.pace, arguments.encoder)
    found = summary(report, memory)
    met = verdicts(found)
    write_report(arguments.output, {"minutes": arguments.minutes, "targets_met": met, **found}, begun)
    if arguments.plot is not None:
        plot(arguments.plot, found, memory)
    print(table([{"process": name, **row} for name, row in found["resident_mb"].items()]))
    print(table([{"p99_ms": kind, **row} for kind, row in found["p99_ms"].items()]))
    print("\n".join(f"{name}: {value}" for name, value in [*found["memory"].items(), *met.items()]))


if __name__ == "__main__":
    main()
