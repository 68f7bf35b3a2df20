"""The first stage of a search: candidates by vector, by words, or by both, fused by rank."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace

from deployments.ports import IndexPort
from deployments.stage_reports import StageName, StageReport, ms_since
from encoders import Vectors
from retrieval import Hit, Query, TextQuery
from retrieval.fusion import fuse
from retrieval.ranking import exact_scores

HYBRID_DEPTH = 100
"""Hits of each ranking that are fused, or as many as are asked for."""
DENSE: StageName = "dense"
TEXT: StageName = "text"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Hits in their order. `Hit.score` is the cosine, but BM25 in a search by words alone."""

    hits: list[Hit]
    reports: tuple[StageReport, ...]
    text_scores: dict[str, float] = field(default_factory=dict)
    """BM25 by id, of the hits that words found."""
    ranks: dict[str, dict[str, int]] = field(default_factory=dict)
    """By id, the place from 1 in the ranking of each stage that found it; empty where there was one stage."""
    vector: Vectors | None = None
    """The query's `(dim,)`; None in a search by words alone."""


async def by_vector(index: IndexPort, query: Query) -> Candidates:
    hits, report = await _timed(DENSE, index.search(query))
    return Candidates(hits, (report,), vector=query.vector)


async def by_words(index: IndexPort, query: TextQuery) -> Candidates:
    """Raises Unsupported where the index cannot."""
    hits, report = await _timed(TEXT, index.search_text(query))
    return Candidates(hits, (report,), {hit.id: hit.score for hit in hits})


async def fused(index: IndexPort, dense: Candidates, words: Candidates, vector: Vectors) -> Candidates:
    """The two as one ranking. What only words found gets its cosine with `vector` `(dim,)` from its stored one."""
    rankings: dict[str, list[str]] = {DENSE: [hit.id for hit in dense.hits], TEXT: [hit.id for hit in words.hits]}
    known = {hit.id: hit for hit in dense.hits}
    missing = [hit for hit in words.hits if hit.id not in known]
    for hit, record in zip(missing, await index.get([hit.id for hit in missing]) if missing else [], strict=True):
        if record is not None:  # or deleted since
            known[hit.id] = replace(hit, score=exact_scores(record.vector[None], vector)[0])
    ranked = [one for one in fuse(rankings) if one.id in known]
    return Candidates(
        [known[one.id] for one in ranked],
        dense.reports + words.reports,
        words.text_scores,
        {one.id: dict(one.ranks) for one in ranked},
        vector,
    )


async def hybrid(index: IndexPort, dense: Awaitable[tuple[Candidates, Vectors]], query: TextQuery) -> Candidates:
    """Both at once: words are looked up while `dense` is encoded and searched."""
    (near, vector), words = await asyncio.gather(dense, by_words(index, query))
    return await fused(index, near, words, vector)


async def _timed(name: StageName, search: Awaitable[Sequence[Hit]]) -> tuple[list[Hit], StageReport]:
    started = time.perf_counter()
    hits = list(await search)
    return hits, StageReport(name, "searched", ms_since(started), len(hits))
