"""What the routes call, in one small bundle, and how it is put together from the ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deployments.embeddings import EmbeddingService
from deployments.health import HealthService
from deployments.items import ItemService
from deployments.ports import EncodePort, IndexPort
from deployments.search import SearchService
from encoders import EncoderInfo
from encoders.images import ImageLimits
from encoders.queries import Rewrite
from retrieval import MediaStore


@dataclass(frozen=True, slots=True)
class Services:
    search: SearchService
    items: ItemService
    embeddings: EmbeddingService
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
    rewrite: Rewrite = "off",
    on_unread: Callable[[str], None] = lambda id: None,
) -> Services:
    """The services over these ports. `cached` serves all but readiness, which must reach the encoder itself.

    `rewrite` is for searches that do not say; `on_unread` hears of items whose image is still to be read.
    """
    serving = cached or encoder
    return Services(
        search=SearchService(serving, index, info, rewrite=rewrite),
        items=ItemService(serving, index, media, info, images, on_unread=on_unread),
        embeddings=EmbeddingService(serving, info),
        health=HealthService(encoder, index, info),
        info=info,
    )
