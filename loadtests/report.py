"""What every result of a benchmark says beside its figures: the command, the commit, the machine, the date."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def circumstances() -> dict[str, Any]:
    """Command, commit (`+` where the working tree differs from it), processor, cores, load, date."""
    module = Path(sys.argv[0]).stem
    return {
        "command": " ".join(["python", "-m", f"loadtests.{module}", *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_average_1m": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_report(path: Path | None, sections: Mapping[str, Any], begun: Mapping[str, Any]) -> None:
    """JSON with the circumstances first. `begun` is what `circumstances` said before the measuring."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**begun, "load_average_at_end": round(os.getloadavg()[0], 2), **sections}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as an aligned text table."""
    names = list(rows[0])
    cells = [names, *[[_cell(row[name]) for name in names] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def markdown(title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> list[str]:
    """Lines of a table with these columns, or all of the rows'."""
    names = names or tuple(rows[0])
    head = [f"**{title}**", "", "| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return [*head, *("| " + " | ".join(_markdown_cell(row[name]) for name in names) + " |" for row in rows), ""]


def write_figures(path: Path, module: str, text: str) -> None:
    """Puts the text between the markers of a document that `module` writes the figures of."""
    begin, end = _markers(module)
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def read_figures(path: Path, module: str) -> str:
    """What is between the markers."""
    begin, end = _markers(module)
    return path.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()


def _markers(module: str) -> tuple[str, str]:
    return f"<!-- figures: written by loadtests.{module} -->", "<!-- end of figures -->"


def _markdown_cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
