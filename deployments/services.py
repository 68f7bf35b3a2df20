"""What the routes call, in one small bundle, and how it is put together from the ports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deployments.cascade import Budget, Cascade
from deployments.embeddings import EmbeddingService
from deployments.health import HealthService
from deployments.items import ItemService
from deployments.models import Model, Models
from deployments.ports import EncodePort, IndexPort, RerankPort, StructurePort
from deployments.reranking import RerankService
from deployments.rewriting import NO_REWRITING, QueryRewriter, RewriteDefaults
from deployments.search import SearchService
from deployments.stored_media import StoredMediaReranker
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
    reranker: RerankPort | None = None,
    rerank: RerankDefaults = RerankDefaults(),
    on_rerank: Callable[[str], None] = lambda did: None,
) -> Services:
    """The services over these ports. `cached` serves all but readiness, which must reach the encoder itself.
    `others` are encoders beside it, which make vectors for their own sake.

    `on_unread` hears of items whose image is still to be read; `sole_writer` says that no other process writes items.
    `rewrite` is how searches are rewritten that do not say; `on_rewrite` hears how a model's rewritings ended.
    `rerank` is how searches are reranked that do not say; `on_rerank` hears what became of each.
    """
    serving = cached or encoder
    cascade = None
    if reranker is not None:
        reranker = StoredMediaReranker(reranker, media)
        cascade = Cascade(reranker, index, rerank.budget, by_default=rerank.searches, on_done=on_rerank)
    rewriter = QueryRewriter(prompt_for(info.name), rewrite, structurer, on_done=on_rewrite)
    return Services(
        search=SearchService(serving, index, info, rewriter=rewriter, cascade=cascade),
        items=ItemService(serving, index, media, info, images, on_unread=on_unread, sole_writer=sole_writer),
        models=Models([Model(i, EmbeddingService(port, i)) for port, i in ((serving, info), *others)]),
        rerank=RerankService(reranker, index),
        health=HealthService(encoder, index, info),
        info=info,
    )
