"""How far a calibration can be trusted, on photos that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.calibration.data import CaptionedVectors
from cluster.calibration.fit import first_hits, pairs
from deployments.background import Comparison
from deployments.calibration import MatchCalibration, sigmoid
from encoders.base import Vectors
from encoders.extras import require

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions between two tenths: how many, their mean, and the share that came true."""

    count: int
    predicted: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """`auroc` is the chance that a right one has a higher probability than a wrong one; None where one is missing.
    `ece` is the expected calibration error (Naeini et al., 2015): the mean distance of prediction and truth over BINS
    of equal width, each counting as often as it was predicted. `right` is the share that is."""

    count: int
    right: float
    auroc: float | None
    ece: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """`first_hits` and `best_hit` are of searches among the photos, `pairs` of texts and images by themselves, where a
    match is made as likely as not. `nothing_relevant` is the share of the captions, each with its photo there, that
    are said to have no answer."""

    captions: int
    first_hits: Reliability
    best_hit: Reliability
    pairs: Reliability
    nothing_relevant: float


def measure(fitted: MatchCalibration, data: CaptionedVectors) -> Report:
    """`data` are photos and captions that `fitted` has not seen."""
    found = first_hits(data)
    values = zip(found.cosine.ravel().tolist(), found.standard.ravel().tolist(), strict=True)
    probability = np.array([fitted.hits.probability(*value) for value in values]).reshape(found.right.shape)
    cosines, matches = pairs(data)
    pair = fitted.pair
    matching = np.array([sigmoid(pair.scale * (cosine - pair.midpoint)) for cosine in cosines.tolist()])
    weights = np.where(matches, 0.5 / matches.sum(), 0.5 / (~matches).sum())
    nothing = [fitted.nothing(vector, best) for vector, best in zip(data.captions, probability[:, 0], strict=True)]
    return Report(
        captions=len(data.captions),
        first_hits=reliability(probability.ravel(), found.right.ravel()),
        best_hit=reliability(probability[:, 0], found.right[:, 0]),
        pairs=reliability(matching, matches, weights),
        nothing_relevant=float(np.mean([bool(reason) for reason in nothing])),
    )


def called_nothing(fitted: MatchCalibration, texts: Vectors, photos: Vectors) -> list[bool]:
    """Which of the texts `(n, dim)` are said to have no answer among the photos."""
    called = []
    for vector in texts:
        best = float((photos @ vector).max())
        probability = fitted.hits.probability(best, Comparison.of(vector, photos).standard(best))
        called.append(bool(fitted.nothing(vector, probability)))
    return called


def reliability(
    probability: NDArray[np.float64], right: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> Reliability:
    """`weights` sum to 1; without them each counts the same."""
    weights = np.full(len(right), 1 / len(right)) if weights is None else weights
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins, ece = [], 0.0
    for at in range(BINS):
        inside = place == at
        weight = float(weights[inside].sum())
        if weight > 0:
            predicted = float(np.average(probability[inside], weights=weights[inside]))
            true = float(np.average(right[inside], weights=weights[inside]))
            ece += weight * abs(predicted - true)
            bins.append(Bin(int(inside.sum()), predicted, true))
    auroc = None
    if right.any() and not right.all():
        auroc = float(require("sklearn.metrics", "eval").roc_auc_score(right, probability))
    return Reliability(len(right), float((weights * right).sum()), auroc, ece, tuple(bins))


def to_json(reports: dict[str, Report], absent: Sequence[bool]) -> dict[str, Any]:
    """`reports` by language and of `all`; `absent` says which of the texts without an answer were called so."""
    shares = {"count": len(absent), "nothing_relevant": float(np.mean(absent))} if absent else None
    return {"test": {scope: asdict(report) for scope, report in reports.items()}, "absent": shares}
