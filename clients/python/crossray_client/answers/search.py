"""What a search answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from crossray_client.answers.items import ItemFields


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(ItemFields):
    """An item that a search found. `score` is the cosine, `text_score` is BM25 where words found it, `ranks` its
    places from 1 in each ranking that was fused, `rerank_score` the reranker's relevance in 0…1 where it looked.

    `background_percentile` is the share of a random sample of the collection that scores lower, in percent, and no
    probability; `relevance` is one, where the server was calibrated; `duplicates` are ids that were folded into it."""

    score: float | None = None
    text_score: float | None = None
    ranks: dict[str, int] = field(default_factory=dict)
    rerank_score: float | None = None
    background_percentile: float | None = None
    relevance: float | None = None
    duplicates: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage of a search did, to how many hits, and why not more."""

    name: str
    did: str
    ms: float
    depth: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What the query asks for, and who read it."""

    by: str
    subject: str
    style: str | None
    language: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Hits, best first. `rewritten_query` is the text that was encoded where it is not the one sent.

    `nothing_relevant` is true where nothing is likely what was asked for, None where that is not known;
    `relevance_reason` says why."""

    hits: list[Hit]
    target: str
    nothing_relevant: bool | None = None
    relevance_reason: str = ""
    rewritten_query: str | None = None
    rewrite: Rewrite | None = None
    model: str
    fingerprint: str
    stages: list[Stage] = field(default_factory=list)
    timings_ms: dict[str, float]
