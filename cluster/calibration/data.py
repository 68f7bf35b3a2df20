"""Captioned photos in vectors, and their two halves: what is fitted on one is reported of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.errors import BadDataset
from cluster.evaluation.captions import CaptionedImage, languages_of
from cluster.evaluation.embedding import Advance, embed_photos, embed_queries
from cluster.evaluation.ranks import Owners
from encoders.base import Encoder, Vectors

LEAST_PHOTOS = 60
"""So that either half is a background by itself (`deployments.background.LEAST_ROWS`)."""
SEED = 0


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedVectors:
    """`photos` `(m, dim)` as documents, `captions` `(n, dim)` as queries, and of each caption the row of its photo and
    its language."""

    photos: Vectors
    captions: Vectors
    owner: Owners
    language: NDArray[np.str_]

    def of_photos(self, rows: NDArray[np.int64]) -> CaptionedVectors:
        """Some of the photos, by their rows in ascending order, with their captions."""
        keep = np.isin(self.owner, rows)
        owner = np.searchsorted(rows, self.owner[keep])
        return CaptionedVectors(self.photos[rows], self.captions[keep], owner, self.language[keep])

    def of_language(self, language: str) -> CaptionedVectors:
        """All photos with the captions of one language."""
        keep = self.language == language
        return CaptionedVectors(self.photos, self.captions[keep], self.owner[keep], self.language[keep])

    def halves(self) -> tuple[CaptionedVectors, CaptionedVectors]:
        """Each photo is in one of them with all its captions; the same ones each time."""
        order = np.random.default_rng(SEED).permutation(len(self.photos))
        middle = len(order) // 2
        return self.of_photos(np.sort(order[:middle])), self.of_photos(np.sort(order[middle:]))


def embed(
    encoder: Encoder, images: Sequence[CaptionedImage], *, batch_size: int, advance: Advance = lambda _name, _n: None
) -> CaptionedVectors:
    """Raises BadDataset for too few photos, and naming an input that cannot be embedded."""
    if len(images) < LEAST_PHOTOS:
        raise BadDataset(f"{len(images)} captioned photos are too few to calibrate with: it takes {LEAST_PHOTOS}")
    rows = [
        (row, language, text)
        for language in languages_of(list(images))
        for row, image in enumerate(images)
        for text in image.captions.get(language, ())
    ]
    photos = embed_photos(encoder, images, batch_size=batch_size, advance=lambda n: advance("photos", n))
    texts = [text for _, _, text in rows]
    captions = embed_queries(encoder, texts, batch_size=batch_size, advance=lambda n: advance("captions", n))
    owner = np.array([row for row, _, _ in rows], dtype=np.int64)
    return CaptionedVectors(photos, captions, owner, np.array([language for _, language, _ in rows]))
