"""The Ingress deployment: the Serve side of the HTTP API. It puts handles behind the ports and builds the app."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from deployments.admission import Admission
from deployments.api import HttpLimits, build_api
from deployments.cached import CachedEncoder, CacheOptions, open_cached
from deployments.doorbell import RemoteDoorbell
from deployments.metrics import Metrics
from deployments.page_route import PageRoute
from deployments.ports import EncodePort
from deployments.remote import RemoteEncoder, RemoteIndex, RemoteReranker, RemoteStructurer, call_again
from deployments.rewriting import RewriteDefaults
from deployments.services import RerankDefaults, build_services
from encoders import EncoderInfo
from encoders.images import ImageLimits
from retrieval import MediaStore


@dataclass(frozen=True, slots=True)
class IngressOptions:
    """What an Ingress replica is told."""

    media_path: Path
    images: ImageLimits
    http: HttpLimits
    encode_call_items: int
    """Most items in one call to the encoder: a batch of its."""
    bulk_calls: int
    """Calls of bulk work that may be under way to each encoder replica."""
    cache: CacheOptions | None
    """None for no embedding cache."""
    rewrite: RewriteDefaults
    """How queries are rewritten where a request does not say."""
    rerank: RerankDefaults
    """How searches are reranked where a request does not say."""
    reranker_names: frozenset[str]
    """What the reranker's model goes by, which may be asleep and cannot be asked."""
    only_collection_path: Path | None
    """The folder of this back end's collections where this is the only ingress; None where there are several."""
    page_path: str
    """Where the web page is, without a slash at the end; only a cluster that runs it answers there."""


class IngressDeployment:
    """Holds the handles; Serve asks it for the app once it is constructed."""

    async def __init__(  # type: ignore[misc]
        self,
        options: IngressOptions,
        encoder: Any,
        retriever: Any,
        ocr: Any = None,
        reranker: Any = None,
        structurer: Any = None,
        *others: Any,
        page: Any = None,
    ) -> None:
        """`encoder`, `retriever` and, where they are on, the rest are Serve DeploymentHandles; `others` of encoders."""
        info: EncoderInfo = await encoder.info.remote()
        self._metrics = metrics = Metrics(encoder=info.name)
        self._limits = options.http
        self._page, self._page_path = page, options.page_path
        self._caches: list[CachedEncoder] = []
        remote = self._remote(options, encoder)
        self._services = build_services(
            remote,
            RemoteIndex(retriever, on_retry=metrics.retry),
            MediaStore(options.media_path),
            info,
            options.images,
            cached=self._cache(options, remote, info),
            others=[await self._other(options, handle) for handle in others],
            rewrite=options.rewrite,
            structurer=None if structurer is None else RemoteStructurer(structurer, metrics.retry),
            on_rewrite=metrics.rewrite,
            sole_writer=_is_sole_writer(options, info),
            on_unread=RemoteDoorbell(ocr) if ocr is not None else lambda id: None,
            reranker=None if reranker is None else RemoteReranker(reranker, options.reranker_names, metrics.retry),
            rerank=options.rerank,
            on_rerank=metrics.rerank,
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        metrics = self._metrics
        api = build_api(
            self._services,
            self._limits,
            on_done=lambda operation, stages: metrics.stages(operation, stages.laps_s()),
            on_error=metrics.error,
        )
        if self._page is None:
            return api
        admission = Admission(self._limits.allowed_hosts)
        return PageRoute(api, self._page_address, path=self._page_path, admission=admission)

    async def _page_address(self) -> str:
        def ask() -> Any:
            return self._page.address.remote()

        address: str = await call_again(ask, "page", self._metrics.retry)
        return address

    def _remote(self, options: IngressOptions, handle: Any) -> RemoteEncoder:
        return RemoteEncoder(
            handle,
            max_items=options.encode_call_items,
            bulk_calls=options.bulk_calls,
            on_retry=self._metrics.retry,
        )

    def _cache(self, options: IngressOptions, remote: RemoteEncoder, info: EncoderInfo) -> CachedEncoder | None:
        if options.cache is None:
            return None
        lookup, error = self._metrics.cache_lookup, self._metrics.cache_error
        cached = open_cached(remote, options.cache, info, on_lookup=lookup, on_error=error)
        self._caches.append(cached)
        return cached

    async def _other(self, options: IngressOptions, handle: Any) -> tuple[EncodePort, EncoderInfo]:
        info: EncoderInfo = await handle.info.remote()
        remote = self._remote(options, handle)
        return self._cache(options, remote, info) or remote, info

    async def __del__(self) -> None:
        for cached in self._caches:
            await cached.close()


def _is_sole_writer(options: IngressOptions, info: EncoderInfo) -> bool:
    """Whether no item outside this collection can name a media file: not of another ingress, nor of a collection that
    another encoder or another back end has in the same data folder."""
    folder = options.only_collection_path
    if folder is None:
        return False
    own = folder / info.contract.fingerprint
    return all(found == own for found in options.media_path.parent.glob("*/" + "[0-9a-f]" * 16))
