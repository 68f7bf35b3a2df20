"""The figures of an evaluation report, as SVG that reads on a light and on a dark page."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cluster.evaluation.run import Evaluation, Task
from encoders.extras import require

INK = "#808890"
COLOURS = ("#1f6feb", "#d9822b", "#2da44e", "#bf4b8a", "#8250df", "#0a9396")


def recall_bars(evaluation: Evaluation) -> bytes:
    """Recall at 1, 5 and 10 of every task beside chance. Raises MissingExtra without matplotlib."""
    figure, axes = make_figure(width=9.0, height=0.6 + 0.5 * len(evaluation.tasks))
    labels = [_label(task) for task in evaluation.tasks]
    places = np.arange(len(labels))
    for offset, (name, colour) in enumerate(zip(("r10", "r5", "r1"), COLOURS, strict=False)):
        values = [100 * getattr(task.metrics, name) for task in evaluation.tasks]
        rows = places + (offset - 1) * 0.26
        axes.barh(rows, values, height=0.24, color=colour, label=f"R@{name[1:]}")
        for row, value in zip(rows, values, strict=True):
            axes.annotate(
                f"{value:.1f}", (value, row), (3, 0), textcoords="offset points", va="center", fontsize=7, color=INK
            )
    axes.plot(
        [100 * task.chance.r10 for task in evaluation.tasks],
        places,
        "|",
        color=INK,
        markersize=14,
        label="R@10 by chance",
    )
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlabel("% of queries")
    return to_svg(figure, axes)


def recall_curves(evaluation: Evaluation) -> bytes:
    """Recall against k, on a logarithmic axis. Raises MissingExtra without matplotlib."""
    figure, axes = make_figure(width=9.0, height=4.2)
    for index, task in enumerate(evaluation.tasks):
        ks = np.unique(np.geomspace(1, task.documents, 60).astype(int))
        recall = [100 * float(np.mean(task.ranks.rank <= k)) for k in ks]
        style = "--" if index >= len(COLOURS) else "-"
        axes.plot(ks, recall, style, color=COLOURS[index % len(COLOURS)], label=_label(task))
    axes.set_xscale("log")
    axes.set_xlabel("k")
    axes.set_ylabel("recall at k, %")
    axes.set_ylim(0, 101)
    axes.grid(alpha=0.25)
    return to_svg(figure, axes)


def _label(task: Task) -> str:
    return f"{task.scope.replace('_to_', '→')} {task.name.replace('_', ' ')}"


def make_figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes in inches. Raises MissingExtra without matplotlib."""
    figure = require("matplotlib.figure", "eval").Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes


def to_svg(figure: Any, axes: Any) -> bytes:
    """With the legend of the axes."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()
