"""`crossray index` on many photos: its rate beside the bare encoder's, the memory of all processes, and Ctrl-C.

    python -m loadtests.bench_bulk --photos DIR --count 5000

Photos are made from those of DIR by crops and flips, in a temporary folder. `bare` is one process that decodes,
prepares and encodes them in batches on all cores, and stores nothing; it runs before, between and after the others, so
that all have the same machine. `http` and `ray` are the command's two ways, each into an empty cluster of the local
profile; `stopped` gets SIGINT half-way and is run again. Text in photos is not read (OCR is off).
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from cluster.demo.photos import bundled_photos
from encoders import EncoderInput
from encoders.images import ImageLimits
from encoders.registry import load_encoder
from loadtests.encoder_cost import encoder_options
from loadtests.memory import MemoryCurve, plot_memory
from loadtests.report import circumstances, table, write_report
from loadtests.server_process import ServerProcess, running_cluster

BATCH = 8
KEPT_SHARE = (0.75, 0.95)
"""Of each side of the original: what a crop leaves."""
SETTINGS = {"CROSSRAY_ENCODER__NAME": "starter", "CROSSRAY_OCR__ENABLED": "false"}


def make_photos(originals: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """JPEG files, no two alike: random crops of the originals, every second one flipped."""
    draw = random.Random(0)
    made = []
    for number in range(count):
        with Image.open(originals[number % len(originals)]) as image:
            width, height = (round(side * draw.uniform(*KEPT_SHARE)) for side in image.size)
            left, top = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
            photo = image.convert("RGB").crop((left, top, left + width, top + height))
        if number % 2:
            photo = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        made.append(folder / f"{number:06}.jpg")
        photo.save(made[-1], "JPEG", quality=92)
    return made


def bare_rate(photos: Sequence[Path], cores: int) -> float:
    """Photos a second of one process: a batch is prepared on threads while the one before is encoded."""
    encoder = load_encoder("starter", **encoder_options("starter") | {"threads": cores, "limits": ImageLimits()})

    def prepare(path: Path) -> Any:
        return encoder.preparer(EncoderInput(image=path.read_bytes()), "document")

    with ThreadPoolExecutor(cores) as pool:
        encoder.forward(list(pool.map(prepare, photos[:BATCH])))
        started = time.perf_counter()
        waiting = None
        for batch in _batches(photos):
            prepared = [pool.submit(prepare, path) for path in batch]
            if waiting is not None:
                encoder.forward([future.result() for future in waiting])
            waiting = prepared
        encoder.forward([future.result() for future in waiting or []])
        seconds = time.perf_counter() - started
    encoder.close()
    return len(photos) / seconds


def _batches(photos: Sequence[Path]) -> Iterator[list[Path]]:
    pending = iter(photos)
    while batch := list(islice(pending, BATCH)):
        yield batch


def run_bare(folder: Path, count: int) -> float:
    """In a process of its own, which has all its memory and threads to itself."""
    command = [sys.executable, "-m", "loadtests.bench_bulk", "--bare", str(folder), "--count", str(count)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def start_index(server: ServerProcess, folder: Path, cache: Path, via: str) -> subprocess.Popen[str]:
    environment = psutil.Process(server.pid).environ() | {"CROSSRAY_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "cluster.cli", "index", str(folder), "--via", via, "--json"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def measure(folder: Path, count: int, via: str, *, stop: bool = False) -> tuple[dict[str, Any], MemoryCurve]:
    """One run into an empty cluster; with `stop`, it is interrupted at half of the photos and run again."""
    with (
        tempfile.TemporaryDirectory(prefix="crossray-bulk-cache-") as cache,
        running_cluster("local", SETTINGS) as server,
    ):
        used = server.cpu_s()
        curve = MemoryCurve(server.pid)
        started = time.monotonic()
        process = start_index(server, folder, Path(cache), via)
        with curve.watching(process.pid):
            if stop:
                _wait_for_items(server, count // 2)
                process.send_signal(signal.SIGINT)
                process.wait(60)
                stopped_s = time.monotonic() - started
                process = start_index(server, folder, Path(cache), via)
                curve.add(process.pid)
            output, _ = process.communicate()
        seconds = time.monotonic() - started
        report = json.loads(output)
        row = {
            "via": via + (", stopped" if stop else ""),
            "photos": count,
            "indexed": report["indexed"],
            "remembered": report["remembered"],
            "failed": len(report["failed"]),
            "photos_per_s": report["per_second"] if stop else count / report["seconds"],
            "command_s": seconds,
            "server_cpu_ms": (server.cpu_s() - used) / count * 1000,
            "command_cpu_ms": curve.command_cpu_s / count * 1000,
        }
        if stop:
            row |= {"stopped_after_s": stopped_s, "skipped": report["skipped"]}
        return row | curve.summary(), curve


def _wait_for_items(server: ServerProcess, count: int) -> None:
    import httpx

    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        while client.get("/v1/items", params={"limit": 1}).json()["count"] < count:
            time.sleep(0.2)


def _originals(folder: Path | None) -> list[Path]:
    if folder is None:
        return sorted(bundled_photos().values())
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photos; without it, the demo's")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--ways", nargs="*", choices=["http", "ray"], default=["http", "ray"])
    parser.add_argument("--stopped", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--bare", type=Path, help="only print the bare rate on the photos of this folder")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    cores = psutil.cpu_count() or 1
    if arguments.bare is not None:
        print(bare_rate(sorted(arguments.bare.iterdir())[: arguments.count], cores))
        return
    begun = circumstances()
    originals = _originals(arguments.photos)
    few = max(arguments.count // 10, 3 * BATCH)
    bare: list[float] = []
    rows: list[dict[str, Any]] = []
    curves: dict[str, MemoryCurve] = {}
    with tempfile.TemporaryDirectory(prefix="crossray-bulk-") as name:
        folder = Path(name)
        made = make_photos(originals, folder, arguments.count)
        size = sum(path.stat().st_size for path in made) / len(made)
        bare.append(run_bare(folder, few))
        for way, stop in [(way, False) for way in arguments.ways] + [("http", True)] * arguments.stopped:
            row, curve = measure(folder, arguments.count, way, stop=stop)
            bare.append(run_bare(folder, few))
            row["ratio_to_bare"] = row["photos_per_s"] / statistics.mean(bare[-2:])
            rows.append(row)
            curves[row["via"]] = curve
            print(
                table([{k: v for k, v in row.items() if k not in ("stopped_after_s", "skipped")} for row in rows]),
                flush=True,
            )
    sections = {
        "photos": {"count": arguments.count, "mean_bytes": round(size), "originals": len(originals)},
        "bare": {"photos_per_s": bare, "photos_each": few, "cores": cores, "batch": BATCH},
        "runs": rows,
        "memory_mb": {name: curve.thinned() for name, curve in curves.items()},
    }
    write_report(arguments.output, sections, begun)
    if arguments.plot is not None:
        plot_memory(curves, arguments.plot)


if __name__ == "__main__":
    main()
