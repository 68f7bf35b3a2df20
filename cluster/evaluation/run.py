"""What is asked of an encoder, and the answers as figures.

Per language: `text_to_image`, each caption is a query among all photos, right when it finds its own; `image_to_text`,
each photo is a query among all captions of the language, right when it finds any of its own. Per ordered pair of
languages: `text_to_text`, each caption is a query among all captions of the other language, encoded as documents,
right when it finds any caption of the same photo.

With rewriting, each caption also searches the photos in the words that the rewriting makes of it: a Task beside these,
`text_to_image_template`. With a reranker, the first photos of each of these are put in its order, a Task a depth:
`text_to_image_rerank_10`. Depth 0 is the plain Task.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from cluster.evaluation.captions import CaptionedImage
from cluster.evaluation.embedding import Advance, Embedded, EmbeddedCaptions, embed_captions, embed_rewritten
from cluster.evaluation.ranks import Owners, RankMetrics, Ranks, chance, rank_queries, summarise
from cluster.evaluation.reranking import rerank_photos
from cluster.evaluation.rewriting import rewrite_captions
from encoders.base import Encoder, EncoderInfo, Vectors
from encoders.queries import QueryStructurer, StructurerInfo, prompt_for
from encoders.reranking import Reranker, RerankerInfo


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


@dataclass(frozen=True, slots=True)
class RewritingReport:
    """Who rewrote the captions, and how many of each language it left to the rules."""

    structurer: StructurerInfo
    left_to_rules: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """An encoder's figures on one data set, with the vectors that they came from."""

    info: EncoderInfo
    images: Sequence[CaptionedImage]
    embedded: EmbeddedCaptions
    tasks: tuple[Task, ...]
    seconds: float
    reranker: RerankerInfo | None = None
    rewritings: Mapping[str, RewritingReport] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """`answer["en"]["text_to_image"]["r10"]` is a fraction; `metrics` repeats them under dotted keys."""
        answer: dict[str, Any] = {
            "encoder": self.info.name,
            "fingerprint": self.info.contract.fingerprint,
            "contract": asdict(self.info.contract),
            "reranker": self._reranker_json(),
            "rewritings": {name: asdict(report) for name, report in self.rewritings.items()},
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

    def _reranker_json(self) -> dict[str, Any] | None:
        if self.reranker is None:
            return None
        return asdict(self.reranker) | {"fingerprint": self.reranker.fingerprint}


def evaluate(
    encoder: Encoder,
    images: Sequence[CaptionedImage],
    *,
    batch_size: int = 16,
    rewrites: Mapping[str, QueryStructurer] = {},
    reranker: Reranker | None = None,
    depths: Sequence[int] = (),
    advance: Advance = lambda _name, _n: None,
) -> Evaluation:
    """Embed everything once and answer every question exactly. Raises BadDataset.

    Captions search as they are, and beside that once as each of `rewrites` reads them; each of these ways is reranked
    to each of `depths`.
    """
    started = time.monotonic()
    embedded = embed_captions(encoder, images, batch_size=batch_size, advance=advance)
    rewritings = {name: RewritingReport(structurer.info) for name, structurer in rewrites.items()}
    deep = sorted({depth for depth in depths if depth > 0}) if reranker is not None else []
    ask = _Questions(encoder, images, embedded, rewrites, rewritings, reranker, deep, batch_size, advance)
    tasks = [task for language in embedded.captions for task in ask.in_language(language)]
    tasks += [task for source, other in permutations(embedded.captions, 2) for task in ask.across(source, other)]
    used = reranker.info if reranker is not None else None
    return Evaluation(encoder.info, images, embedded, tuple(tasks), time.monotonic() - started, used, rewritings)


@dataclass(frozen=True, slots=True)
class _Questions:
    """What one evaluation asks, over what was embedded once. Fills in `rewritings` as it goes."""

    encoder: Encoder
    images: Sequence[CaptionedImage]
    embedded: EmbeddedCaptions
    rewrites: Mapping[str, QueryStructurer]
    rewritings: Mapping[str, RewritingReport]
    reranker: Reranker | None
    depths: Sequence[int]
    batch_size: int
    advance: Advance

    def in_language(self, language: str) -> Iterator[Task]:
        for name, queries in self._ways(language):
            for plain in _task(language, name, queries, self.embedded.images):
                yield plain
                yield from self._reranked(plain, queries)
        yield from _task(language, "image_to_text", self.embedded.images, self.embedded.captions[language])

    def across(self, source: str, other: str) -> Iterator[Task]:
        captions = self.embedded.captions
        return _task(f"{source}_to_{other}", "text_to_text", captions[source], captions[other])

    def _ways(self, language: str) -> Iterator[tuple[str, Embedded]]:
        """The captions as they are, and as each rewriting has them."""
        captions, texts = self.embedded.captions[language], self.embedded.texts[language]
        yield "text_to_image", captions
        for rewrite, structurer in self.rewrites.items():
            prompt = prompt_for(self.encoder.info.name)
            rewritten = rewrite_captions(structurer, texts, prompt, batch_size=self.batch_size)
            self.rewritings[rewrite].left_to_rules[language] = rewritten.left_to_rules
            queries = embed_rewritten(
                self.encoder,
                rewritten.texts,
                captions.owner,
                batch_size=self.batch_size,
                advance=partial(self.advance, f"{rewrite} {language}"),
            )
            yield f"text_to_image_{rewrite}", queries

    def _reranked(self, plain: Task, queries: Embedded) -> Iterator[Task]:
        """The same question with the first photos in the reranker's order, a Task a depth."""
        if self.reranker is None or not self.depths:
            return
        ranks = rerank_photos(
            self.reranker,
            self.embedded.texts[plain.scope],
            queries,
            self.embedded.images,
            self.images,
            self.depths,
            batch_size=self.batch_size,
            advance=partial(self.advance, f"pairs {plain.scope}"),
        )
        for depth, found in ranks.items():
            yield replace(plain, name=f"{plain.name}_rerank_{depth}", ranks=found, metrics=summarise(found))


def _task(scope: str, name: str, queries: Embedded, documents: Embedded) -> Iterator[Task]:
    """One, or none where no query has a right document: two languages may share no photo."""
    vectors, owner = _answerable(queries.query, queries.owner, documents.owner)
    if not len(owner):
        return
    ranks = rank_queries(vectors, owner, documents.document, documents.owner)
    random = chance(owner, documents.owner)
    yield Task(scope, name, ranks, summarise(ranks), random, len(owner), len(documents.owner))


def _answerable(vectors: Vectors, owner: Owners, document_owner: Owners) -> tuple[Vectors, Owners]:
    """The queries that have a right document at all: a photo may lack captions in one language."""
    keep = np.isin(owner, document_owner)
    return vectors[keep], owner[keep]


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0
