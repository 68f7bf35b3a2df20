"""What is asked of an encoder, and the answers as figures.

Per language: `text_to_image`, each caption is a query among all photos, right when it finds its own; `image_to_text`,
each photo is a query among all captions of the language, right when it finds any of its own. Per ordered pair of
languages: `text_to_text`, each caption is a query among all captions of the other language, encoded as documents,
right when it finds any caption of the same photo.

With rewriting, each caption also searches the photos in the words that the rewriting makes of it: a Task beside these,
`text_to_image_template`. So would be any other way of asking that changes the answers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

import numpy as np

from cluster.evaluation.captions import CaptionedImage
from cluster.evaluation.embedding import Advance, Embedded, EmbeddedCaptions, embed_captions, embed_rewritten
from cluster.evaluation.ranks import Owners, RankMetrics, Ranks, chance, rank_queries, summarise
from encoders.base import Encoder, EncoderInfo, Vectors
from encoders.queries import Rewrite, prompt_for, rewrite_query


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One question with its answers. `scope` is a language (`en`) or a pair of them (`en_to_zh`)."""

    scope: str
    name: str
    ranks: Ranks
    metrics: RankMetrics
    chance: RankMetrics
    queries: int
    documents: int


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """An encoder's figures on one data set, with the vectors that they came from."""

    info: EncoderInfo
    images: Sequence[CaptionedImage]
    embedded: EmbeddedCaptions
    tasks: tuple[Task, ...]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """`answer["en"]["text_to_image"]["r10"]` is a fraction; `metrics` repeats them under dotted keys."""
        answer: dict[str, Any] = {
            "encoder": self.info.name,
            "fingerprint": self.info.contract.fingerprint,
            "contract": asdict(self.info.contract),
            "images": len(self.images),
            "captions": {language: len(texts) for language, texts in self.embedded.texts.items()},
            "seconds": round(self.seconds, 3),
            "images_per_second": _rate(self.embedded.encoded_images, self.embedded.image_seconds),
            "texts_per_second": _rate(self.embedded.encoded_texts, self.embedded.text_seconds),
            "metrics": {},
        }
        for task in self.tasks:
            metrics = asdict(task.metrics)
            counts = {"queries": task.queries, "documents": task.documents}
            answer.setdefault(task.scope, {})[task.name] = metrics | counts | {"random": asdict(task.chance)}
            answer["metrics"] |= {f"{task.scope}.{task.name}.{key}": value for key, value in metrics.items()}
        return answer


def evaluate(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    batch_size: int = 16,
    rewrites: Sequence[Rewrite] = (),
    advance: Advance = lambda _name, _n: None,
) -> Evaluation:
    """Embed everything once and answer every question exactly. Raises BadDataset.

    Captions search as they are, and beside that once for each of `rewrites`.
    """
    started = time.monotonic()
    embedded = embed_captions(encoder, images, batch_size=batch_size, advance=advance)
    tasks: list[Task | None] = []
    for language, captions in embedded.captions.items():
        tasks.append(_task(language, "text_to_image", captions, embedded.images))
        tasks.append(_task(language, "image_to_text", embedded.images, captions))
        for rewrite in (name for name in rewrites if name != "off"):
            prompt = prompt_for(encoder.info.name)
            rewritten = embed_rewritten(
                encoder,
                embedded.texts[language],
                captions.owner,
                lambda text, prompt=prompt: rewrite_query(text, prompt),  # type: ignore[misc]
                batch_size=batch_size,
                advance=lambda n, name=f"{rewrite} {language}": advance(name, n),  # type: ignore[misc]
            )
            tasks.append(_task(language, f"text_to_image_{rewrite}", rewritten, embedded.images))
    for source, other in permutations(embedded.captions, 2):
        scope = f"{source}_to_{other}"
        tasks.append(_task(scope, "text_to_text", embedded.captions[source], embedded.captions[other]))
    asked = tuple(task for task in tasks if task is not None)
    return Evaluation(encoder.info, images, embedded, asked, time.monotonic() - started)


def _task(scope: str, name: str, queries: Embedded, documents: Embedded) -> Task | None:
    """None where no query has a right document: two languages may share no photo."""
    vectors, owner = _answerable(queries.query, queries.owner, documents.owner)
    if not len(owner):
        return None
    ranks = rank_queries(vectors, owner, documents.document, documents.owner)
    random = chance(owner, documents.owner)
    return Task(scope, name, ranks, summarise(ranks), random, len(owner), len(documents.owner))


def _answerable(vectors: Vectors, owner: Owners, document_owner: Owners) -> tuple[Vectors, Owners]:
    """The queries that have a right document at all: a photo may lack captions in one language."""
    keep = np.isin(owner, document_owner)
    return vectors[keep], owner[keep]


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0
