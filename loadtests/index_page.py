"""The page and the plots of `bench_index`, made from its JSON alone: python -m loadtests.index_page [FILE]."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.report import ROOT, table

RESULT = ROOT / "loadtests" / "results" / "bench_index.json"
DOCS = ROOT / "docs"
COLUMNS = ("name", "effort", "recall", "p50_ms", "p99_ms", "qps_1", "qps_8", "qps_32", "memory_mib", "build_s")


def print_section(name: str, section: Mapping[str, Any]) -> None:
    print(f"\n== {name}: {section['rows']:,} x 384" + (" (quick: not a measurement)" if section["quick"] else ""))
    if reason := section.get("skipped"):
        print(f"skipped: {reason}")
        return
    if engines := section.get("engines"):
        print(table([{column: engine[column] for column in COLUMNS} for engine in engines]))
    print(table(_served(section)))


def _served(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row an index that answers with payloads."""
    named = section["types"] if "types" in section else {"Milvus server": section["server"]}
    rows = []
    for name, result in named.items():
        payload = result["payload"]
        row: dict[str, Any] = {
            "with payloads": name if name[0].isupper() else f"embedded {name}",
            "recall": payload["recall"],
            "p50_ms": payload["p50_ms"],
            "faiss_p50_ms": payload.get("faiss_p50_ms"),
            "qps_8": payload["qps_8"],
            "qps_32": payload["qps_32"],
            "inserts/s": result["insert_rows_per_s"],
            "restart_s": result.get("restart_to_first_answer_s"),
        }
        row |= {f"p50 at {share}": of["p50_ms"] for share, of in result["filtered"].items()}
        rows.append(row)
    return rows


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
    lines += ["| " + " | ".join("–" if row[n] is None else f"{row[n]:,}" if isinstance(row[n], int) else str(row[n])
                                for n in names) + " |" for row in rows]  # fmt: skip
    return "\n".join(lines)


def page(report: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The Markdown of a report."""
    machine = report["machine"]
    parts = [
        "# The index benchmark",
        f"Measured on {machine['cores']} cores of {machine['processor']}. Written by `loadtests/index_page.py` from "
        "`loadtests/results/bench_index.json`: do not edit. Synthetic vectors of 384 dimensions, cosine, 10 hits; "
        "`loadtests/bench_index.py` says how.",
    ]
    for section in report["sections"].values():
        title = "Milvus server" if "server" in section or "skipped" in section else "side by side"
        parts.append(f"## {section['rows']:,} rows, {title}")
        made = section["measured"]
        parts.append(f"`{made['command']}` at {made['commit']}, {made['date'][:10]}.")
        if section["quick"]:
            parts.append("A quick run, which shows that everything works and measures nothing.")
        if reason := section.get("skipped"):
            parts.append(f"Skipped: {reason}.")
            continue
        if engines := section.get("engines"):
            parts.append("Ids and scores, in process, all tuned to equal recall on other queries; clients are threads.")
            parts.append(markdown_table([{column: engine[column] for column in COLUMNS} for engine in engines]))
        parts.append("With payloads, at the effort that each chose itself; and by how many rows pass a filter.")
        parts.append(markdown_table(_served(section)))
    parts += [f"![{name}](plots/{name})" for name in plots]
    met = report.get("targets_met", {})
    parts.append("## Targets\n\n" + "\n".join(f"- {name}: {'met' if ok else '**missed**'}" for name, ok in met.items()))
    return "\n\n".join(parts) + "\n"


def draw(report: Mapping[str, Any], folder: Path) -> list[str]:
    """A plot of latency and throughput, and one of recall by effort, where there is something to draw; their names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, section in report["sections"].items():
        engines = section.get("engines", [])
        if len(engines) < 2:
            continue
        figure, axes = pyplot.subplots(1, 3, figsize=(14, 0.4 * len(engines) + 2), layout="constrained")
        labels = [f"{engine['name']} ({engine['recall']:.3f})" for engine in engines]
        colours = ["C0" if engine["is_ours"] else "0.6" for engine in engines]
        for axis, column in zip(axes, ("p50_ms", "qps_8", "qps_32"), strict=True):
            axis.barh(labels, [engine[column] for engine in engines], color=colours)
            axis.set_title(
                {"p50_ms": "p50, ms, one client", "qps_8": "queries/s, 8 clients"}.get(column, "queries/s, 32 clients")
            )
            axis.invert_yaxis()
            if axis is not axes[0]:
                axis.set_yticklabels([])
        figure.suptitle(f"{section['rows']:,} x 384, ids and scores in process (recall@10)")
        figure.savefig(folder / f"index-{name}.png", dpi=110)
        pyplot.close(figure)
        names.append(f"index-{name}.png")
    return names


def write_page(result: Path = RESULT, folder: Path = DOCS) -> None:
    """Writes index-benchmark.md and plots/ into `folder`."""
    report = json.loads(result.read_text(encoding="utf-8"))
    plots = draw(report, folder / "plots")
    (folder / "index-benchmark.md").write_text(page(report, plots), encoding="utf-8")


if __name__ == "__main__":
    write_page(*map(Path, sys.argv[1:2]))
