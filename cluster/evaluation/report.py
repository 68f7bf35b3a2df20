"""An evaluation as one self-contained HTML file: figures, plots, and the best and worst queries as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from html import escape

import numpy as np

from cluster.contact_sheet import SheetHit, SheetSection, data_uri, render_page, render_sections
from cluster.evaluation.plots import recall_bars, recall_curves
from cluster.evaluation.run import Evaluation, Task
from encoders.images import ImageLimits
from encoders.thumbnails import MIME, thumbnail

SHOWN_QUERIES = 5
SHOWN_HITS = 5
THUMBNAIL_PX = 224
COLUMNS = ("R@1", "R@5", "R@10", "median rank", "queries", "documents", "R@10 by chance")


def render_report(evaluation: Evaluation, limits: ImageLimits) -> str:
    """The page; `limits` are those that the photos were encoded under. Raises MissingExtra without matplotlib."""
    info = evaluation.info
    intro = f"Encoder {info.name}, vector contract {info.contract.fingerprint}, {len(evaluation.images)} photos"
    if evaluation.reranker is not None:
        intro += f"; reranked by {evaluation.reranker.name} ({evaluation.reranker.model})"
    plots = "".join(
        f'<p><img style="max-width:100%" src="{data_uri(plot(evaluation), "image/svg+xml")}" alt="{name}"></p>'
        for plot, name in ((recall_bars, "recall by task"), (recall_curves, "recall against k"))
    )
    body = _table(evaluation) + plots + "".join(_queries(evaluation, limits))
    return render_page("Crossray retrieval evaluation", intro, body, f"{info.contract.to_json()}")


def _table(evaluation: Evaluation) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in ("", *COLUMNS))
    rows = "".join(_row(task) for task in evaluation.tasks)
    return f"<section><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></section>"


def _row(task: Task) -> str:
    m = task.metrics
    cells = (
        f"{m.r1:.1%}",
        f"{m.r5:.1%}",
        f"{m.r10:.1%}",
        f"{m.median_rank:g}",
        str(task.queries),
        str(task.documents),
        f"{task.chance.r10:.1%}",
    )
    values = "".join(f"<td>{cell}</td>" for cell in cells)
    return f"<tr><th>{escape(f'{task.scope} {task.name}')}</th>{values}</tr>"


def _queries(evaluation: Evaluation, limits: ImageLimits) -> Iterable[str]:
    @cache
    def picture(row: int) -> str:
        return data_uri(thumbnail(evaluation.images[row].path.read_bytes(), limits, THUMBNAIL_PX), MIME)

    for task in evaluation.tasks:
        if task.name != "text_to_image":
            continue
        for name, chosen in (("best", _best(task, evaluation)), ("worst", _worst(task, evaluation))):
            sections = [_section(evaluation, task, query, picture) for query in chosen]
            yield f"<section><h2>{escape(task.scope)}: the {name} queries</h2></section>{render_sections(sections)}"


def _best(task: Task, evaluation: Evaluation) -> list[int]:
    """Right at rank 1, by the widest margin."""
    order = np.lexsort((-task.ranks.margin, task.ranks.rank))
    return _one_a_photo(task, evaluation, order)


def _worst(task: Task, evaluation: Evaluation) -> list[int]:
    return _one_a_photo(task, evaluation, np.argsort(-task.ranks.rank, kind="stable"))


def _one_a_photo(task: Task, evaluation: Evaluation, order: Iterable[int]) -> list[int]:
    owner = evaluation.embedded.captions[task.scope].owner
    chosen: dict[int, int] = {}
    for query in order:
        chosen.setdefault(int(owner[query]), int(query))
        if len(chosen) == SHOWN_QUERIES:
            break
    return list(chosen.values())


def _section(evaluation: Evaluation, task: Task, query: int, picture: Callable[[int], str]) -> SheetSection:
    captions = evaluation.embedded.captions[task.scope]
    right = int(captions.owner[query])
    scores = evaluation.embedded.images.document @ captions.query[query]
    top = np.argsort(-scores, kind="stable")[:SHOWN_HITS]
    hits = [
        SheetHit(
            score=float(scores[row]),
            source=f"{evaluation.images[row].name}{' ← the right one' if row == right else ''}",
            thumbnail=picture(int(row)),
        )
        for row in top
    ]
    return SheetSection(
        title=evaluation.embedded.texts[task.scope][query],
        hits=hits,
        query_image=picture(right),
        note=f"The right photo is at rank {task.ranks.rank[query]} of {task.documents}.",
    )
