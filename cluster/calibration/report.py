"""A calibration's report as one self-contained HTML file: the figures, and predictions against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from cluster.calibration.measure import Reliability, Report
from cluster.contact_sheet import data_uri, render_page
from cluster.evaluation.plots import COLOURS, INK, make_figure, to_svg
from deployments.calibration import MatchCalibration

COLUMNS = ("", "AUROC", "ECE", "share right", "predictions")


def render_report(fitted: MatchCalibration, reports: Mapping[str, Report], absent: Sequence[bool]) -> str:
    """The page. Raises MissingExtra without matplotlib."""
    intro = f"Vector contract {fitted.fingerprint}; figures of photos that were not fitted on"
    lines = [f"{report.nothing_relevant:.1%} of the {scope} captions are called" for scope, report in reports.items()]
    if absent:
        lines.append(f"{np.mean(absent):.1%} of the {len(absent)} texts without an answer are called")
    body = "".join(_table(scope, report) for scope, report in reports.items())
    body += f"<section><p>{escape('; '.join(lines))} nothing relevant.</p></section>"
    plot = data_uri(reliability_plot(reports["all"]), "image/svg+xml")
    return render_page("Crossray calibration", intro, f'{body}<p><img src="{plot}" alt="reliability"></p>', "")


def reliability_plot(report: Report) -> bytes:
    """SVG: the share that is right against what was predicted, a line for each kind of prediction."""
    figure, axes = make_figure(width=6.0, height=5.0)
    axes.plot([0, 1], [0, 1], ":", color=INK, label="as predicted")
    for (name, found), colour in zip(_kinds(report).items(), COLOURS, strict=False):
        axes.plot([b.predicted for b in found.bins], [b.right for b in found.bins], "o-", color=colour, label=name)
    axes.set_xlabel("predicted probability of a match")
    axes.set_ylabel("share of matches")
    return to_svg(figure, axes)


def _kinds(report: Report) -> dict[str, Reliability]:
    return {"first hits": report.first_hits, "best hit": report.best_hit, "pairs": report.pairs}


def _table(scope: str, report: Report) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    rows = ""
    for name, found in _kinds(report).items():
        auroc = "" if found.auroc is None else f"{found.auroc:.3f}"
        cells = (f"{scope}: {name}", auroc, f"{found.ece:.3f}", f"{found.right:.3f}", str(found.count))
        rows += f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
    return f"<section><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"
