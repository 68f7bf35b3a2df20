"""The tables of `docs/scale.md`, written from what `plan_scale` found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadtests.report import markdown, write_figures


def render(report: dict[str, Any]) -> str:
    """The document's tables."""
    lines = [f"Command: `{report['command']}`, commit `{report['commit']}`, {report['date'][:10]}.", ""]
    lines += markdown("A segment, measured on one core", report["segments"], (
        "index", "rows", "parameter", "recall", "search_ms", "spread", "bytes_per_row", "build_s"))  # fmt: skip
    lines += markdown("Plans, simulated", report["plans"], (
        "rows", "index", "segment_gb", "segments", "task_ms", "memory_gb", "machines", "replicas", "p50_ms", "p99_ms",
        "busy", "dollars_per_month", "build_core_hours"))  # fmt: skip
    lines += markdown("Encoding, derived", report["encoding"], tuple(report["encoding"][0]))
    lines += markdown("The model against published figures", report["checks"], tuple(report["checks"][0]))
    given = ", ".join(f"`{name}` {value}" for name, value in report["assumptions"].items())
    return "\n".join([*lines, f"Assumed: {given}.", ""])


def write_doc(path: Path, report: dict[str, Any]) -> None:
    """Puts the tables into the document."""
    write_figures(path, "plan_scale", render(report))
