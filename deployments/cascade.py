"""The second stage of a search: rerank the first hits when it can pay, within a budget, or leave them as they are.

A reranker reads each pair, so it costs as much a hit as the whole dense search. It is asked only when the first hits
are close to each other, for at most `depth` of them, and for as long as the deadline allows. Whatever goes wrong, the
dense order stands and the answer says why.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployments.errors import BadRequest, CrossrayError
from deployments.finding import find
from deployments.ports import IndexPort, RerankPort
from deployments.rerank import RerankInput, RerankReply, RerankTask, StoredInput
from deployments.schemas.search import Part, SearchRequest
from deployments.stage_reports import StageReport, ms_since
from encoders import EncoderError, EncoderInput
from retrieval import Hit, RetrievalError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """What reranking one search may cost."""

    depth: int = 20
    """Hits that are reranked."""
    deadline_ms: int = 500
    """From the dense hits to the reranked ones."""
    margin: float | None = 0.1
    """Rerank only when the cosines of the first and the last hit asked for differ by no more; None for always. The
    default is a guess: which gap makes reranking pay depends on encoder and collection, and was measured for none."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """Hits in their new order, the reranker's scores by id, and the report."""

    hits: list[Hit]
    scores: dict[str, float]
    report: StageReport


class Cascade:
    """Reranks the hits of a search within a budget."""

    def __init__(
        self,
        reranker: RerankPort,
        index: IndexPort,
        budget: Budget,
        *,
        by_default: bool = False,
        on_done: Callable[[str], None] = lambda did: None,
    ) -> None:
        """`budget` is for requests that do not say, and `by_default` whether those rerank at all.

        `on_done` hears what became of each: reranked, clear, late or failed.
        """
        self._reranker = reranker
        self._index = index
        self._budget = budget
        self._by_default = by_default
        self._on_done = on_done

    def plan(self, request: SearchRequest) -> Budget | None:
        """The budget of this search, None where it is not to be reranked."""
        asked = request.rerank
        if asked is None:
            return self._budget if self._by_default else None
        if asked.depth == 0:
            return None
        return Budget(
            depth=asked.depth or self._budget.depth,
            deadline_ms=asked.deadline_ms or self._budget.deadline_ms,
            margin=asked.margin if "margin" in asked.model_fields_set else self._budget.margin,
        )

    async def rerank(self, budget: Budget, parts: Sequence[Part], hits: list[Hit], top_k: int) -> Reranked:
        """Never raises for what the reranker does."""
        started = time.perf_counter()
        first = hits[: budget.depth]

        def skipped(did: str, reason: str) -> Reranked:
            self._on_done(did)
            return Reranked(hits, {}, StageReport("rerank", "skipped", ms_since(started), len(first), reason))

        if clear := _needless(budget, parts, first, top_k):
            return skipped("clear", clear)
        try:
            async with asyncio.timeout(budget.deadline_ms / 1000):
                reply = await self._ask(parts[0], first)
        except TimeoutError:
            return skipped("late", f"no answer within {budget.deadline_ms} ms; a reranker that sleeps is waking up")
        except (CrossrayError, EncoderError, RetrievalError) as error:
            return skipped("failed", str(error))
        except Exception as error:
            log.exception("reranking a search failed")
            return skipped("failed", f"{type(error).__name__}: see the server's log")
        scores = {hit.id: s for hit, s in zip(first, reply.scores, strict=True) if not isinstance(s, EncoderError)}
        faults = [score for score in reply.scores if isinstance(score, EncoderError)]
        if not scores:
            return skipped("failed", str(faults[0]))
        # Stable: equal scores keep the dense order, and so do hits that could not be read, behind the others.
        ordered = sorted(first, key=lambda hit: -scores.get(hit.id, -1.0)) + hits[len(first) :]
        reason = f"{len(faults)} of {len(first)} hits could not be read: {faults[0]}" if faults else ""
        self._on_done("reranked")
        return Reranked(ordered, scores, StageReport("rerank", "reranked", ms_since(started), len(first), reason))

    async def _ask(self, part: Part, hits: Sequence[Hit]) -> RerankReply:
        query: RerankInput = EncoderInput(part.text, part.image)
        if part.id is not None:
            (record,) = await find(self._index, [part.id])
            if record is None:  # deleted since the dense search
                raise BadRequest(f"the item {part.id!r} is gone", "id")
            query = StoredInput(record.payload.text, record.payload.media)
        documents = tuple(StoredInput(hit.payload.text, hit.payload.media) for hit in hits)
        return await self._reranker.rerank(RerankTask(query, documents))


def _needless(budget: Budget, parts: Sequence[Part], first: Sequence[Hit], top_k: int) -> str:
    """Why reranking cannot help or cannot be done; empty where it can."""
    if len(parts) > 1 or parts[0].weight <= 0:
        return "a mix has no single query to compare with"
    if len(first) < 2:
        return "fewer than two hits"
    if budget.margin is None:
        return ""
    last = min(max(top_k, 2), len(first))
    gap = first[0].score - first[last - 1].score
    return f"clear: hits 1 and {last} are {gap:.4f} apart, over {budget.margin:g}" if gap > budget.margin else ""
