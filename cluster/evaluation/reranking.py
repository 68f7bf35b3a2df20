"""Ranks after a reranker has looked at the first documents of each query."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cluster.errors import BadDataset
from cluster.evaluation.captions import CaptionedImage
from cluster.evaluation.embedding import Embedded
from cluster.evaluation.ranks import Ranks, rank_queries
from encoders.base import EncoderInput
from encoders.errors import InputError
from encoders.reranking import Reranker, Scores, score


def rerank_photos(
    reranker: Reranker,
    texts: Sequence[str],
    queries: Embedded,
    photos: Embedded,
    images: Sequence[CaptionedImage],
    depths: Sequence[int],
    *,
    batch_size: int,
    advance: Callable[[int], None] = lambda _n: None,
) -> dict[int, Ranks]:
    """For each depth the ranks of the right photos when the first so many are put in the reranker's order.

    Each pair is scored once, for the greatest depth. `texts` are what people typed, whatever was encoded for them.
    Ties count against, as in the dense order; a right photo beyond the depth keeps its rank. Margins stay the dense
    ones. Raises BadDataset.
    """
    dense = rank_queries(queries.query, queries.owner, photos.document, photos.owner)
    ranks = {depth: dense.rank.copy() for depth in depths}
    for row, text in enumerate(texts):
        right = photos.owner == queries.owner[row]
        first = np.lexsort((right, -(photos.document @ queries.query[row])))[: max(depths)]
        names = [images[photos.owner[place]] for place in first]
        relevance = _score(reranker, text, names, batch_size, advance)
        for depth in depths:
            found = right[first[:depth]]
            if found.any():
                best = relevance[:depth][found].max()
                ranks[depth][row] = 1 + int((relevance[:depth][~found] >= best).sum())
    return {depth: Ranks(rank, dense.margin) for depth, rank in ranks.items()}


def _score(
    reranker: Reranker, text: str, images: Sequence[CaptionedImage], batch_size: int, advance: Callable[[int], None]
) -> Scores:
    scores = np.empty(len(images), dtype=np.float32)
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        documents = [EncoderInput(image=image.path.read_bytes()) for image in batch]
        try:
            scores[start : start + len(batch)] = score(reranker, EncoderInput(text=text), documents)
        except InputError as error:
            raise BadDataset(f"{text!r} with one of {batch[0].name} …: {error}") from error
        advance(len(batch))
    return scores
