"""Search, the whole algorithm on one screen: rewrite the text, encode the parts, mix them into one vector, ask the
index by vector, by words or by both, rerank, trim.

Plain Python over two ports; it knows neither Ray nor HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from deployments.background import Background
from deployments.candidates import HYBRID_DEPTH, Candidates, by_vector, by_words, hybrid
from deployments.cascade import Budget, Cascade
from deployments.duplicates import OVER_FETCH, fold
from deployments.encoder import EncodeTask
from deployments.errors import BadRequest, NotFound
from deployments.finding import find
from deployments.ports import EncodePort, IndexPort
from deployments.relevance import NOTHING_REACHES, Judge, Judgement
from deployments.reranking import NO_RERANKER
from deployments.rewriting import QueryRewriter, Rewriting
from deployments.schemas.search import Part, SearchRequest
from deployments.space import require_space
from deployments.stage_reports import StageReport
from deployments.stages import Stages
from encoders import EncoderInfo, EncoderInput, InputError, Vectors
from retrieval import Filter, Hit, Query, TextQuery, parse_filter


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first, and what was encoded in place of the query's text, if it was rewritten."""

    hits: list[Hit]
    rewriting: Rewriting | None = None
    text_scores: dict[str, float] = field(default_factory=dict)
    """BM25 by id, of the hits that words found."""
    ranks: dict[str, dict[str, int]] = field(default_factory=dict)
    """By id, the place in each ranking that was fused."""
    rerank_scores: dict[str, float] = field(default_factory=dict)
    """By id, of the hits that the reranker looked at."""
    reports: tuple[StageReport, ...] = ()
    """What each stage did."""
    judgement: Judgement = field(default_factory=Judgement)
    duplicates: dict[str, list[str]] = field(default_factory=dict)
    """By id of a hit, the ids that were folded into it."""


class SearchService:
    """Finds items by text, image, stored id, or a weighted mix of these."""

    def __init__(
        self,
        encoder: EncodePort,
        index: IndexPort,
        info: EncoderInfo,
        *,
        rewriter: QueryRewriter,
        judge: Judge | None = None,
        cascade: Cascade | None = None,
    ) -> None:
        """Without a `cascade` nothing is reranked, and without a `judge` hits have no match probabilities."""
        self._encoder = encoder
        self._index = index
        self._info = info
        self._cascade = cascade
        self._judge = judge or Judge(Background(index), lambda: None)
        self._rewriter = rewriter

    async def search(self, request: SearchRequest, stages: Stages) -> Found:
        """Raises BadRequest, NotFound, Conflict, ContractMismatch, and what the ports raise."""
        require_space(self._info, request)
        budget = self._budget(request)
        condition = None if request.filter is None else parse_filter(request.filter)
        rewriting = await self._rewriting(request, stages)
        parts = request.parts() if rewriting is None else [Part(text=rewriting.text)]
        wanted = request.top_k if budget is None else max(request.top_k, budget.depth)
        own = {part.id for part in parts if part.id is not None}
        looked_at = wanted if request.group_duplicates is None else OVER_FETCH * wanted
        found = await self._candidates(request, parts, looked_at + len(own), condition, stages)
        hits = [hit for hit in found.hits if hit.id not in own][:looked_at]
        if request.min_score is not None:
            hits = [hit for hit in hits if hit.score >= request.min_score]
        judgement = await self._judge.judge(request, found, hits)
        hits, judgement = _relevant(hits, judgement, request.min_relevance)
        stages.lap("relevance")
        duplicates: dict[str, list[str]] = {}
        if request.group_duplicates is not None:
            folded = await fold(self._index, hits, request.group_duplicates, wanted)
            hits, duplicates = folded.hits, folded.duplicates
            stages.lap("duplicates")
        scores: dict[str, float] = {}
        reports = found.reports
        if self._cascade is not None and budget is not None:
            reranked = await self._cascade.rerank(budget, request.parts(), hits, request.top_k)
            stages.lap("rerank")
            hits, scores, reports = reranked.hits, reranked.scores, (*reports, reranked.report)
        return Found(
            hits[: request.top_k], rewriting, found.text_scores, found.ranks, scores, reports, judgement, duplicates
        )

    async def _candidates(
        self, request: SearchRequest, parts: Sequence[Part], wanted: int, condition: Filter | None, stages: Stages
    ) -> Candidates:
        """At least `wanted` hits, where there are as many."""
        depth = max(wanted, HYBRID_DEPTH) if request.mode == "hybrid" else wanted
        words = TextQuery(request.text or "", depth, request.target, condition)

        async def near() -> tuple[Candidates, Vectors]:
            vector = mix(await self._vectors(parts, stages), [part.weight for part in parts])
            found = await by_vector(self._index, Query(vector, depth, request.target, condition))
            stages.lap("search")
            return found, vector

        if request.mode == "dense":
            return (await near())[0]
        found = await (by_words(self._index, words) if request.mode == "text" else hybrid(self._index, near(), words))
        stages.lap("text")
        return found

    def _budget(self, request: SearchRequest) -> Budget | None:
        if self._cascade is not None:
            budget = self._cascade.plan(request)
            # The margin compares cosines, by which only dense hits are ordered.
            return budget if budget is None or request.mode == "dense" else replace(budget, margin=None)
        if request.rerank is not None and request.rerank.depth != 0:
            raise BadRequest(NO_RERANKER, "rerank", "no_reranker")
        return None

    async def _rewriting(self, request: SearchRequest, stages: Stages) -> Rewriting | None:
        """What to encode in place of the text sent; None where it is that one, or where an image goes with it."""
        way = self._rewriter.way(request.rewrite)
        if request.text is None or request.image is not None or request.mode == "text" or way == "off":
            return None
        rewriting = await self._rewriter.rewrite(request.text, way)
        stages.lap("rewrite")
        return rewriting

    async def _vectors(self, parts: Sequence[Part], stages: Stages) -> list[Vectors]:
        """The parts' unit vectors `(dim,)`, in order: encoded where they are inputs, fetched where they are ids."""
        vectors: dict[int, Vectors] = {}
        stored = [(row, part.id) for row, part in enumerate(parts) if part.id is not None]
        if stored:
            records = await find(self._index, [id for _, id in stored])
            for (row, id), record in zip(stored, records, strict=True):
                if record is None:
                    raise NotFound(f"there is no item {id!r}", _param(parts, row, "id"))
                vectors[row] = record.vector
            stages.lap("fetch")
        given = [row for row, part in enumerate(parts) if part.id is None]
        if given:
            tasks = [EncodeTask(EncoderInput(parts[row].text, parts[row].image), "query") for row in given]
            outcomes = await self._encoder.encode(tasks)
            slowest = max(outcomes, key=lambda outcome: sum(outcome.stages_s.values()))
            stages.split(slowest.stages_s, rest="encode_call")
            for row, outcome in zip(given, outcomes, strict=True):
                try:
                    vectors[row] = outcome.unwrap()
                except InputError as error:
                    raise InputError(error.message, error.code, _param(parts, row, error.param)) from error
        return [vectors[row] for row in range(len(parts))]


def _param(parts: Sequence[Part], row: int, field: str | None) -> str | None:
    """The field at fault as the caller wrote it: inside `mix` only where there is more than one part."""
    return field if len(parts) == 1 else f"mix[{row}]" + (f".{field}" if field else "")


def _relevant(hits: list[Hit], judgement: Judgement, least: float | None) -> tuple[list[Hit], Judgement]:
    if least is None:
        return hits, judgement
    kept = [hit for hit in hits if judgement.relevance.get(hit.id, -1.0) >= least]
    if hits and not kept:
        judgement = replace(judgement, nothing_relevant=True, reason=judgement.reason or NOTHING_REACHES)
    return kept, judgement


def mix(vectors: Sequence[Vectors], weights: Sequence[float]) -> Vectors:
    """The weighted sum of unit vectors, `(dim,)` and unit again. Raises BadRequest when the parts cancel out."""
    total = np.asarray(weights, dtype=np.float32) @ np.stack(vectors)
    norm = float(np.linalg.norm(total))
    if norm < 1e-6:
        raise BadRequest("the parts of the mix cancel out: change a weight", "mix", "empty_mix")
    return np.asarray(total / norm, dtype=np.float32)
