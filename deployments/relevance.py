"""How good the hits of a search are in themselves, beside how they stand to each other.

Without a calibration each hit has its percentile against a background and no more, and whether anything is relevant
is not known, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deployments.background import LEAST_ROWS, Background, Comparison
from deployments.calibration import MatchCalibration
from deployments.candidates import Candidates
from deployments.errors import BadRequest
from deployments.schemas.search import SearchRequest
from encoders import Vectors
from retrieval import Hit

NOT_CALIBRATED = "not calibrated: `crossray calibrate` does it from captioned photos"
NOTHING_REACHES = "no hit reaches min_relevance"


@dataclass(frozen=True, slots=True)
class Judgement:
    """By id what the hits are worth, and whether nothing is: None where that is not known. `reason` says why."""

    percentiles: dict[str, float] = field(default_factory=dict)
    relevance: dict[str, float] = field(default_factory=dict)
    """Match probabilities."""
    nothing_relevant: bool | None = None
    reason: str = ""


class Judge:
    """Judges searches of one collection."""

    def __init__(self, background: Background, calibration: Callable[[], MatchCalibration | None]) -> None:
        self._background = background
        self._calibration = calibration

    async def judge(self, request: SearchRequest, found: Candidates, hits: Sequence[Hit]) -> Judgement:
        """`hits` are those of `found` that are left. Raises BadRequest for a min_relevance that nothing can tell."""
        judgement = await self._judge(request, found, hits)
        if request.min_relevance is None or not hits or judgement.relevance:
            return judgement
        code = "not_calibrated" if judgement.reason == NOT_CALIBRATED else None
        raise BadRequest(f"min_relevance: the hits have no relevance: {judgement.reason}", "min_relevance", code)

    async def _judge(self, request: SearchRequest, found: Candidates, hits: Sequence[Hit]) -> Judgement:
        if not hits:
            return Judgement(nothing_relevant=True, reason="there are no hits")
        if found.vector is None:
            return Judgement(reason="a search by words alone compares no vectors")
        compared = await self._background.compare(found.vector, request.target)
        if compared is None:
            return Judgement(reason=f"fewer than {LEAST_ROWS} items to compare with")
        percentiles = {hit.id: compared.percentile(hit.score) for hit in hits}
        fit = self._calibration()
        if fit is None:
            return Judgement(percentiles, reason=NOT_CALIBRATED)
        if request.text is None or request.image is not None:
            return Judgement(percentiles, reason="calibrated for texts that look for images, which this query is not")
        relevance = _relevance(fit, compared, hits)
        nothing, reason = _verdict(fit, found.vector, relevance, hits, found.text_scores)
        return Judgement(percentiles, relevance, nothing, reason)


def _relevance(fit: MatchCalibration, compared: Comparison, hits: Sequence[Hit]) -> dict[str, float]:
    """Of the hits that are images alone: an item's text moves its vector, which no photo taught anything of."""
    images = [hit for hit in hits if hit.payload.kind == "image"]
    return {hit.id: fit.hits.probability(hit.score, compared.standard(hit.score)) for hit in images}


def _verdict(
    fit: MatchCalibration, vector: Vectors, relevance: dict[str, float], hits: Sequence[Hit], by_words: dict[str, float]
) -> tuple[bool | None, str]:
    if any(hit.id in by_words for hit in hits):
        return None, "words found some of the hits, which is not judged"
    if len(relevance) < len(hits):
        return None, "some of the hits are more than an image, which is not judged"
    reason = fit.nothing(vector, max(relevance.values()))
    return bool(reason), reason
