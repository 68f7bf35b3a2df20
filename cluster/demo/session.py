"""Indexing, asking and judging: what happens between the start and the stop of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.cli.output import progress
from cluster.client import Client
from cluster.contact_sheet import SheetSection, data_uri, sheet_hits
from cluster.demo.photos import as_row
from cluster.demo.questions import RIGHT_WITHIN, TOP_K, Photos, Question
from cluster.errors import ClusterError
from cluster.indexing.columns import Columns
from cluster.indexing.ledger import Ledger, Work
from cluster.indexing.report import IndexReport
from cluster.indexing.rows import Row, Shard
from cluster.indexing.upload import Indexer
from deployments.schemas.search import SearchAnswer
from encoders.images import sniff

DEMO_SET = "demo"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer. `rank` is the first right answer's, None when it is not among them."""

    question: Question
    answer: SearchAnswer
    rank: int | None

    @property
    def passed(self) -> bool:
        return not self.question.right or (self.rank is not None and self.rank <= RIGHT_WITHIN)


def index(client: Client, photos: Photos, texts: Sequence[Row]) -> IndexReport:
    """The demo's own photos and texts, which must all go in. Raises ClusterError naming the first that did not."""
    rows = [*map(as_row, photos.values()), *texts]
    with progress("Indexing", len(rows)) as advance:
        report = Indexer(client, metadata={"set": DEMO_SET}, advance=advance).run(map(Work, rows))
    if report.failed:
        raise ClusterError(f"{report.failed[0].source} was not indexed: {report.failed[0].reason}")
    return report


def index_folder(client: Client, shards: Sequence[Shard], metadata: dict[str, str]) -> IndexReport:
    """Anything, with these metadata fields; bad files are in the report."""
    with progress("Indexing", len(shards)) as advance:
        ledger = Ledger(shards, advance=advance)
        return Indexer(client, metadata=metadata, ledger=ledger).run(ledger.work(Columns()))


def ask(client: Client, question: Question, photos: Photos, *, only_demo: bool) -> Asked:
    """One search. With `only_demo`, among the demo's own items, whose right answers are known."""
    body = question.body(photos) | {"top_k": TOP_K}
    if only_demo:
        body["filter"] = _both(body.get("filter"), {"field": "set", "op": "eq", "value": DEMO_SET})
    answer = client.search(body)
    ranks = (rank for rank, hit in enumerate(answer.hits, 1) if hit.source in question.right)
    return Asked(question, answer, next(ranks, None))


def section(client: Client, asked: Asked, photos: Photos) -> SheetSection:
    """The question on a contact sheet. Asks the server for thumbnails."""
    name = asked.question.picture
    return SheetSection(
        title=asked.question.title,
        hits=sheet_hits(client, asked.answer),
        query_image=_picture(photos[name]) if name is not None else None,
        note=asked.question.kind,
        timings_ms=asked.answer.timings_ms,
    )


def _both(first: dict[str, Any] | None, second: dict[str, Any]) -> dict[str, Any]:
    return second if first is None else {"and": [first, second]}


def _picture(path: Path) -> str:
    data = path.read_bytes()
    return data_uri(data, sniff(data) or "application/octet-stream")
