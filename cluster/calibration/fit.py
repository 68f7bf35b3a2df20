"""Fitting a `deployments.calibration.MatchCalibration`.

A caption matches its own photo and no other one, though others may show the same: what is fitted is the probability
that a photo is the very one described, which is at most that of its showing what was asked for.

Three things are learnt. Of a hit, a logistic regression (Platt, 1999) on its cosine and on that cosine in standard
deviations over the query's background, over the first hits of every caption. Of a text and an image by themselves, one
on the cosine, matches and others weighing the same. Of a query, how unlike all captions, and how weak in its best hit,
a caption that has its photo there may be: quantiles of the captions themselves, each compared with those of other
photos. So no example of a query without an answer is needed, and none can bias it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.calibration.data import SEED, CaptionedVectors
from cluster.errors import BadDataset
from deployments.background import Comparison
from deployments.calibration import HitModel, MatchCalibration, familiarity
from encoders.base import Calibration, Vectors
from encoders.extras import require

FIRST_HITS = 10
FAMILIAR = 512
"""Captions that are kept. On `flickr8k-dev` 256 and 1024 parted other queries as well."""
UNFAMILIAR = 0.03
WEAK = 0.01
"""Shares of the captions that are given up as unlike the others, and as weak in their best hit."""
OTHERS = 10
"""Photos of others that a caption is paired with, for each of its own."""
HARDLY_ANY_PENALTY = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class FirstHits:
    """The first hits of every caption, `(n, k)`: their cosines, those in standard deviations, and which are right."""

    cosine: Vectors
    standard: Vectors
    right: NDArray[np.bool_]


def first_hits(data: CaptionedVectors, count: int = FIRST_HITS) -> FirstHits:
    """Each caption searches all photos, which are its background, too."""
    cosines, standards, rights = [], [], []
    for vector, owner in zip(data.captions, data.owner, strict=True):
        scores = data.photos @ vector
        compared = Comparison.of(vector, data.photos)
        best = np.argsort(-scores, kind="stable")[:count]
        cosines.append(scores[best])
        standards.append([compared.standard(float(score)) for score in scores[best]])
        rights.append(best == owner)
    return FirstHits(np.stack(cosines), np.array(standards, dtype=np.float32), np.stack(rights))


def fit(data: CaptionedVectors, fingerprint: str) -> MatchCalibration:
    """Raises BadDataset where the captions say nothing about the photos, and MissingExtra without scikit-learn."""
    hits = first_hits(data)
    model = _hit_model(hits)
    best = [model.probability(float(c), float(s)) for c, s in zip(hits.cosine[:, 0], hits.standard[:, 0], strict=True)]
    kept = np.random.default_rng(SEED).permutation(len(data.captions))[:FAMILIAR]
    familiar, owner = data.captions[kept], data.owner[kept]
    familiarities = [
        familiarity((familiar @ caption)[owner != own])
        for caption, own in zip(data.captions, data.owner, strict=True)
        if (owner != own).any()
    ]
    return MatchCalibration(
        fingerprint=fingerprint,
        photos=len(data.photos),
        captions=len(data.captions),
        languages=tuple(dict.fromkeys(data.language.tolist())),
        pair=_pair_model(data),
        hits=model,
        familiar=familiar,
        least_familiarity=float(np.quantile(familiarities, UNFAMILIAR)),
        least_relevance=float(np.quantile(best, WEAK)),
    )


def pairs(data: CaptionedVectors) -> tuple[Vectors, NDArray[np.bool_]]:
    """Cosines of each caption with its own photo and with OTHERS at random, and which are matches."""
    random = np.random.default_rng(SEED)
    cosines, matches = list(_rowwise(data, data.owner)), [True] * len(data.owner)
    for _ in range(OTHERS):
        other = (data.owner + random.integers(1, len(data.photos), len(data.owner))) % len(data.photos)
        cosines.extend(_rowwise(data, other))
        matches.extend([False] * len(other))
    return np.array(cosines, dtype=np.float32), np.array(matches)


def _rowwise(data: CaptionedVectors, rows: NDArray[np.int64]) -> Iterator[float]:
    yield from (data.captions * data.photos[rows]).sum(axis=1).tolist()


def _hit_model(hits: FirstHits) -> HitModel:
    right = hits.right.ravel()
    if not right.any() or right.all():
        raise BadDataset(f"all or none of the first {FIRST_HITS} photos of every caption are right: nothing to learn")
    features = np.stack([hits.cosine.ravel(), hits.standard.ravel()], axis=1)
    model = _logistic(features, right, None)
    if min(model.coef_[0]) < 0:  # the two go together, and a higher cosine must not make a hit worse
        model = _logistic(features[:, 1:], right, None)
        return HitModel(0.0, float(model.coef_[0][0]), float(model.intercept_[0]))
    cosine, standard = model.coef_[0]
    return HitModel(float(cosine), float(standard), float(model.intercept_[0]))


def _pair_model(data: CaptionedVectors) -> Calibration:
    cosines, matches = pairs(data)
    model = _logistic(cosines[:, None], matches, "balanced")
    scale = float(model.coef_[0][0])
    if scale <= 0:
        raise BadDataset("the encoder puts captions no nearer to their photos than to others: nothing to calibrate")
    return Calibration(scale, -float(model.intercept_[0]) / scale)


def _logistic(features: Vectors, labels: NDArray[np.bool_], weights: str | None) -> Any:
    linear = require("sklearn.linear_model", "eval")
    return linear.LogisticRegression(C=HARDLY_ANY_PENALTY, class_weight=weights, max_iter=1000).fit(features, labels)
