"""What the routes call, in one small bundle, and how it is put together from the ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deployments.background import Background
from deployments.calibration import MatchCalibration
from deployments.cascade import Budget, Cascade
from deployments.embeddings import EmbeddingService
from deployments.health import HealthService
from deployments.item_files import ItemFiles
from deployments.items import ItemService
from deployments.models import Model, Models
from deployments.ports import EncodePort, IndexPort, RerankPort, StructurePort
from deployments.relevance import Judge
from deployments.reranking import RerankService
from deployments.rewriting import NO_REWRITING, QueryRewriter, RewriteDefaults
from deployments.search import SearchService
from deployments.stored_media import StoredMediaReranker
from deployments.writers_lock import WritersLock
from encoders import EncoderInfo
from encoders.images import ImageLimits
from encoders.queries import prompt_for
from retrieval import MediaStore


@dataclass(frozen=True, slots=True)
class RerankDefaults:
    """Whether searches that do not say are reranked, and what it may cost."""

    searches: bool = False
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Services:
    search: SearchService
    items: ItemService
    models: Models
    rerank: RerankService
    health: HealthService
    embeddings: EmbeddingService
    """With the collection's own encoder."""
    info: EncoderInfo


def build_services(
    encoder: EncodePort,
    index: IndexPort,
    media: MediaStore,
    info: EncoderInfo,
    images: ImageLimits,
    *,
    cached: EncodePort | None = None,
    others: Sequence[tuple[EncodePort, EncoderInfo]] = (),
    rewrite: RewriteDefaults = NO_REWRITING,
    structurer: StructurePort | None = None,
    on_rewrite: Callable[[str], None] = lambda did: None,
    on_unread: Callable[[str], None] = lambda id: None,
    sole_writer: bool = True,
    thumbnails: bool = False,
    other_writers: WritersLock | None = None,
    reranker: RerankPort | None = None,
    rerank: RerankDefaults = RerankDefaults(),
    files: ItemFiles | None = None,
    note: str = "",
    on_rerank: Callable[[str], None] = lambda did: None,
    calibration: Callable[[], MatchCalibration | None] = lambda: None,
) -> Services:
    """The services over these ports. `cached` serves all but readiness, which must reach the encoder itself.
    `others` are encoders beside it, which make vectors for their own sake.

    `on_unread` hears of items whose image is still to be read; `sole_writer` says that no other process writes items,
    but who holds `other_writers`; `thumbnails` that they are made when images are stored.
    `rewrite` is how searches are rewritten that do not say; `on_rewrite` hears how a model's rewritings ended.
    `note` says why `encoder` does not make the collection's vectors, where `cached` does not, either.
    `files` are the image files of all collections, where there is more than this one.
    `rerank` is how searches are reranked that do not say; `on_rerank` hears what became of each.
    `calibration` is what is known of the first encoder's matches at the moment.
    """
    serving = cached or encoder
    cascade = None
    if reranker is not None:
        reranker = StoredMediaReranker(reranker, media)
        cascade = Cascade(reranker, index, rerank.budget, by_default=rerank.searches, on_done=on_rerank)
    writing = {"sole_writer": sole_writer, "thumbnails": thumbnails}
    files = files or ItemFiles(media, index, images, **writing, others=other_writers)
    rewriter = QueryRewriter(prompt_for(info.name), rewrite, structurer, on_done=on_rewrite)
    judge = Judge(Background(index), calibration)
    first = Model(info, EmbeddingService(serving, info, calibration))
    return Services(
        search=SearchService(serving, index, info, rewriter=rewriter, judge=judge, cascade=cascade),
        items=ItemService(serving, index, files, info, images, on_unread=on_unread),
        models=Models([*([] if note else [first]), *(Model(i, EmbeddingService(port, i)) for port, i in others)]),
        rerank=RerankService(reranker, index),
        health=HealthService(encoder, index, info, note),
        embeddings=first.embeddings,
        info=info,
    )
