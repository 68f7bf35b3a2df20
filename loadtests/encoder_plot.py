"""Draws what `bench_encoder` measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MEASURES = {"items_per_s": "items a second", "share_of_matmul_peak": "share of the measured matmul peak"}
STYLES = ("-", "--", "-.", ":", (0, (1, 4)))


def plot(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Both measures by batch size: a colour an input, a line style a precision."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    inputs = list(dict.fromkeys((row["kind"], row["visual_tokens"]) for row in rows))
    precisions = list(dict.fromkeys(row["precision"] for row in rows))
    for precision in precisions:
        for kind, tokens in inputs:
            line = [r for r in rows if (r["precision"], r["kind"], r["visual_tokens"]) == (precision, kind, tokens)]
            look = {"color": f"C{inputs.index((kind, tokens))}", "linestyle": STYLES[precisions.index(precision)]}
            label = f"{precision} {kind}" + (f" {tokens} tokens" if tokens else "")
            for axis, measure in zip(axes, MEASURES, strict=True):
                axis.plot([r["batch"] for r in line], [r[measure] for r in line], marker="o", label=label, **look)
    for axis, name in zip(axes, MEASURES.values(), strict=True):
        axis.set(xlabel="batch size", ylabel=name, xscale="log", ylim=(0, None))
    axes[0].legend(fontsize=7)
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
