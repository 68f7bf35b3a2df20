"""What the Qwen3-VL encoder does alone, without a server: speed, latency, memory, and how near it comes to the machine.

    python -m loadtests.bench_encoder [--shape tiny|2b] [--device cpu|cuda] [--precisions fp32 int8]
        [--batch-sizes 1 4 16] [--visual-tokens 64 256] [--compile] [--seconds 3] [--output FILE.json]

Weights are random and of the true shape, which costs what the real ones cost; `weights` in the report says so.

* `cells`: for each precision, pixel budget (visual tokens an image) and batch size, images/s and texts/s of the forward
  pass on prepared inputs, p50 and p99 of a call, peak memory, and the share of the measured matmul peak.
* `preparing`: images/s and texts/s of the CPU half, one thread.
* `rivals`: the one-by-one loop of a tutorial, preparing included, and sentence-transformers; `ours` is measured the
  same way beside it: prepare and forward, in batches of the largest size.
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from encoders import EncoderInput, encode
from encoders.precision import PRECISIONS, compute_dtype
from encoders.qwen3_vl.encoder import Qwen3VLEncoder, load_qwen3_vl
from loadtests.encoder_flops import forward_flops, matmul_peak_flops, synchronise
from loadtests.encoder_plot import plot
from loadtests.encoder_rivals import load_sentence_transformers, load_tutorial_loop
from loadtests.report import circumstances, table, write_report
from tests.tiny.qwen3_vl import build_tiny_qwen3_vl, build_true_2b_qwen3_vl

TEXT = "two dogs run along the beach at sunset while a man on a red bicycle looks on"
TOKEN_PIXELS = 32 * 32


def photo(visual_tokens: int, seed: int) -> EncoderInput:
    """A square JPEG, 1.5 times as long a side as the budget keeps, so that preparing resizes as it would a photo."""
    side = round(1.5 * (visual_tokens * TOKEN_PIXELS) ** 0.5)
    blobs = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(blobs).resize((side, side), Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return EncoderInput(image=out.getvalue())


def texts(count: int) -> list[EncoderInput]:
    return [EncoderInput(text=f"{number} {TEXT}") for number in range(count)]


def measure(call: Callable[[], Any], device: str, seconds: float) -> list[float]:
    """Seconds of each call, for about `seconds` and at least three, after two to warm up."""
    for _ in range(2):
        call()
    durations: list[float] = []
    until = time.perf_counter() + seconds
    while len(durations) < 3 or time.perf_counter() < until:
        synchronise(device)
        begun = time.perf_counter()
        call()
        synchronise(device)
        durations.append(time.perf_counter() - begun)
    return durations


def measure_by_turns(
    one: Callable[[], Any], other: Callable[[], Any], device: str, seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds of each call of both, in turns, so that a busy machine slows both."""
    rounds = [(measure(one, device, seconds / 4), measure(other, device, seconds / 4)) for _ in range(4)]
    return [d for first, _ in rounds for d in first], [d for _, second in rounds for d in second]


def peak_bytes(device: str) -> int:
    """Of the device since the last reset; on the CPU of this process since its start."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def load(folder: Path, options: argparse.Namespace, precision: str, visual_tokens: int) -> Qwen3VLEncoder:
    pixels = visual_tokens * TOKEN_PIXELS
    return load_qwen3_vl(
        str(folder),
        device=options.device,
        precision=precision,
        min_pixels=pixels,
        max_pixels=pixels,
        compile=options.compile,
    )


def weight_bytes(encoder: Qwen3VLEncoder) -> int:
    return int(encoder.forward_pass.backbone.model.get_memory_footprint())


def cell(
    encoder: Qwen3VLEncoder, items: Sequence[EncoderInput], options: argparse.Namespace, peak: float, **labels: Any
) -> dict[str, Any]:
    """One row: `items` prepared beforehand and forwarded as one batch, again and again."""
    import torch

    prepared = [encoder.preparer(item, "document") for item in items]
    if options.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    durations = measure(lambda: encoder.forward(prepared), options.device, options.seconds)
    visual = labels.get("visual_tokens") or 0
    config = encoder.forward_pass.backbone.model.config
    work = sum(forward_flops(config, item.cost - visual, visual) for item in prepared)
    median = float(np.median(durations))
    return {
        **labels,
        "batch": len(items),
        "items_per_s": len(items) / median,
        "p50_ms": 1000 * median,
        "p99_ms": 1000 * float(np.quantile(durations, 0.99)),
        "share_of_matmul_peak": work / median / peak,
        "peak_memory_mb": peak_bytes(options.device) / 2**20,
        "calls": len(durations),
    }


def measure_cells(folder: Path, options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All rows, and for each precision the bytes of its weights and the peak it is held against."""
    rows: list[dict[str, Any]] = []
    precisions: dict[str, Any] = {}
    for precision in options.precisions:
        peak = matmul_peak_flops(options.device, compute_dtype(precision, options.device))
        for visual_tokens in options.visual_tokens:
            encoder = load(folder, options, precision, visual_tokens)
            precisions[precision] = {"weight_mb": weight_bytes(encoder) / 2**20, "matmul_peak_gflops": peak / 1e9}
            for size in options.batch_sizes:
                images = [photo(visual_tokens, seed) for seed in range(size)]
                labels = {"precision": precision, "kind": "image", "visual_tokens": visual_tokens}
                rows.append(cell(encoder, images, options, peak, **labels))
                if visual_tokens == options.visual_tokens[0]:
                    labels = {"precision": precision, "kind": "text", "visual_tokens": None}
                    rows.append(cell(encoder, texts(size), options, peak, **labels))
            encoder.close()
    return rows, precisions


def measure_preparing(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Items a second of the CPU half, by pixel budget."""
    rows = []
    for visual_tokens in options.visual_tokens:
        encoder = load(folder, options, options.precisions[0], visual_tokens)
        for kind, item in (("image", photo(visual_tokens, 0)), ("text", texts(1)[0])):
            durations = measure(partial(encoder.preparer, item, "document"), "cpu", 0.5)
            rows.append({"kind": kind, "visual_tokens": visual_tokens, "items_per_s": 1 / float(np.median(durations))})
        encoder.close()
    return rows


def measure_rivals(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Prepare and forward together, at the first precision: one by one, by sentence-transformers, and ours."""
    precision, largest = options.precisions[0], max(options.batch_sizes)
    rows: list[dict[str, Any]] = []
    for visual_tokens in options.visual_tokens:
        items = {"image": [photo(visual_tokens, seed) for seed in range(largest)], "text": texts(largest)}
        dtype = compute_dtype(precision, options.device)
        one_by_one = load_tutorial_loop(folder, options.device, dtype, visual_tokens * TOKEN_PIXELS)
        encoder = load(folder, options, precision, visual_tokens)
        for kind, batch in items.items():
            loop, whole = partial(one_by_one, batch[0]), partial(encode, encoder, batch, "document")
            theirs, ours = measure_by_turns(loop, whole, options.device, options.seconds)
            cosine = float(one_by_one(batch[0]) @ encode(encoder, batch[:1], "document").unwrap()[0])
            slow, fast = 1 / float(np.median(theirs)), largest / float(np.median(ours))
            labels = {"kind": kind, "visual_tokens": visual_tokens, "precision": precision}
            rows.append({**labels, "loop_per_s": slow, "ours_per_s": fast, "times": fast / slow, "cosine": cosine})
        encoder.close()
    rival, note = load_sentence_transformers(folder, options.device)
    if rival is not None:
        durations = measure(lambda: rival(texts(largest), largest), options.device, options.seconds)
        return {
            "loop": rows,
            "sentence_transformers": {"note": note, "texts_per_s": largest / float(np.median(durations))},
        }
    print(note)
    return {"loop": rows, "sentence_transformers": {"note": note}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=("tiny", "2b"), default="tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=None)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=None)
    parser.add_argument("--visual-tokens", nargs="+", type=int, default=None)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")
    options.precisions = options.precisions or (["bf16", "int8", "nf4"] if cuda else ["fp32", "int8"])
    options.batch_sizes = options.batch_sizes or ([1, 8, 32, 64] if cuda else [1, 4, 16])
    options.visual_tokens = options.visual_tokens or ([256, 1024] if cuda else [16, 64])
    begun = circumstances()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "checkpoint-embedding"
        build_tiny_qwen3_vl(folder) if options.shape == "tiny" else build_true_2b_qwen3_vl(folder, options.device)
        rows, precisions = measure_cells(folder, options)
        preparing = measure_preparing(folder, options)
        rivals = measure_rivals(folder, options)
    weights = f"random weights, {options.shape} shape, {'compiled' if options.compile else 'eager'}"
    where = device_name(options.device)
    print(f"{weights}, on {where}")
    for part in (rows, preparing, rivals["loop"]):
        print(table(part))
    sections = {"weights": weights, "device": where, "precisions": precisions, "cells": rows}
    write_report(options.output, {**sections, "preparing": preparing, "rivals": rivals}, begun)
    if options.output is not None:
        plot(rows, options.output.with_suffix(".png"), f"Qwen3-VL encoder, {weights}, {where}")


def device_name(device: str) -> str:
    """The GPU's name, or that none was measured."""
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    return f"CPU, {torch.get_num_threads()} threads; not measured on a GPU"


if __name__ == "__main__":
    main()
