"""The builder: settings in, a Serve application out. All `bind()` calls are here.

No `from __future__ import annotations` in this module: Serve reads the builder's annotation to parse its arguments.
"""

from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from cluster.model_settings import EncoderSettings
from cluster.page import PATH, api_url, page_runs
from cluster.section import ScaleSettings
from cluster.settings import Settings
from deployments.api import HttpLimits
from deployments.batch_queue import BatchLimits
from deployments.cached import CacheOptions
from deployments.cascade import Budget
from deployments.encoder import EncoderDeployment
from deployments.ingress import IngressDeployment, IngressOptions
from deployments.model_options import ModelOptions
from deployments.ocr import OcrDeployment, OcrLimits, OcrOptions
from deployments.page import PageDeployment, PageOptions
from deployments.rerank import RerankDeployment
from deployments.retriever import RetrieverDeployment, RetrieverOptions
from deployments.rewriting import RewriteDefaults
from deployments.services import RerankDefaults
from deployments.structurer import StructurerDeployment
from encoders.enhance import Enhancement
from retrieval import EmbeddedOptions, MilvusOptions


def build_app(settings: Settings) -> Application:
    """Ingress → {Encoders, Retriever, and where they are on Ocr, Reranker and QueryStructurer}, under these settings.

    Raises SettingsError where a model is not told its checkpoint.
    """
    settings.require_checkpoints()
    encoder = deployment(EncoderDeployment, "Encoder", settings.encoder.scale).bind(
        encoder_options(settings, settings.encoder)
    )
    others = [
        deployment(EncoderDeployment, f"Encoder-{at}-{other.name}", other.scale).bind(encoder_options(settings, other))
        for at, other in enumerate(settings.other_encoders, start=2)
    ]
    retriever = deployment(RetrieverDeployment, "Retriever", settings.index.scale).bind(
        retriever_options(settings), encoder
    )
    ocr = ocr_deployment(settings).bind(ocr_options(settings), retriever) if settings.ocr.enabled else None
    reranker = None
    if settings.rerank.enabled:
        reranker = deployment(RerankDeployment, "Reranker", settings.rerank.scale).bind(
            reranker_options(settings), _media_path(settings)
        )
    structurer = None
    if settings.queries.runs_structurer:
        structurer = deployment(StructurerDeployment, "QueryStructurer", settings.queries.structurer.scale).bind(
            structurer_options(settings)
        )
    page = None
    if page_runs(settings):
        scale = ScaleSettings(num_cpus=settings.page.num_cpus)
        page = deployment(PageDeployment, "Page", scale).bind(page_options(settings))
    ingress: Application = deployment(serve.ingress()(IngressDeployment), "Ingress", settings.http.scale).bind(
        ingress_options(settings), encoder, retriever, ocr, reranker, structurer, *others, page=page
    )
    return ingress


def deployment(cls: Any, name: str, scale: ScaleSettings) -> Any:
    """A Serve deployment of a plain class (Serve's own annotation of this call loses its type)."""
    return serve.deployment(cls, name=name, **scale_options(scale))


def scale_options(scale: ScaleSettings) -> dict[str, Any]:
    """Serve's options for a deployment: fixed where min and max are equal, autoscaled otherwise."""
    options: dict[str, Any] = {
        "max_ongoing_requests": scale.max_ongoing_requests,
        "ray_actor_options": {"num_cpus": scale.num_cpus, "num_gpus": scale.num_gpus},
        "graceful_shutdown_wait_loop_s": 0.2,
        "graceful_shutdown_timeout_s": 10,
    }
    if scale.min_replicas == scale.max_replicas:
        return options | {"num_replicas": scale.min_replicas}
    autoscaling = AutoscalingConfig(
        min_replicas=scale.min_replicas,
        max_replicas=scale.max_replicas,
        target_ongoing_requests=scale.target_ongoing_requests,
        downscale_to_zero_delay_s=scale.sleep_after_s if scale.min_replicas == 0 else None,
    )
    return options | {"autoscaling_config": autoscaling}


def encoder_options(settings: Settings, encoder: EncoderSettings) -> ModelOptions:
    return ModelOptions(
        name=encoder.name,
        options=settings.options_of(encoder.name, encoder),
        limits=BatchLimits(
            max_batch_size=encoder.max_batch_size,
            max_batch_cost=encoder.max_batch_cost,
            max_queued=encoder.max_queued,
            bulk_patience_s=encoder.bulk_patience_s,
        ),
        prepare_workers=encoder.prepare_workers,
        prepare_in_processes=encoder.prepare_in_processes,
    )


def reranker_options(settings: Settings) -> ModelOptions:
    rerank = settings.rerank
    return ModelOptions(
        name=rerank.name,
        options=settings.options_of_reranker(rerank.name),
        limits=BatchLimits(
            max_batch_size=rerank.max_batch_size, max_batch_cost=rerank.max_batch_cost, max_queued=rerank.max_queued
        ),
        prepare_workers=rerank.prepare_workers,
        prepare_in_processes=rerank.prepare_in_processes,
    )


def structurer_options(settings: Settings) -> ModelOptions:
    structurer = settings.queries.structurer
    return ModelOptions(
        name=structurer.name,
        options=settings.options_of_structurer(structurer.name),
        limits=BatchLimits(max_batch_size=structurer.max_batch_size, max_queued=structurer.max_queued),
    )


def retriever_options(settings: Settings) -> RetrieverOptions:
    index = settings.index
    return RetrieverOptions(
        backend=index.backend,
        path=settings.data_dir / index.backend,
        uri=index.uri,
        embedded=EmbeddedOptions(flat_limit=index.flat_limit, exact_limit=index.exact_limit),
        milvus=MilvusOptions(token=index.token.get_secret_value(), deadline_s=index.deadline_s),
    )


def ingress_options(settings: Settings) -> IngressOptions:
    rerank = settings.rerank
    return IngressOptions(
        media_path=_media_path(settings),
        images=settings.image_limits,
        http=HttpLimits(settings.http.max_body_bytes, settings.http.request_timeout_s, settings.http.served_hosts),
        encode_call_items=settings.encoder.max_batch_size,
        bulk_calls=settings.encoder.bulk_calls,
        cache=cache_options(settings),
        rewrite=RewriteDefaults(settings.queries.rewrite, settings.queries.structurer.deadline_ms),
        rerank=RerankDefaults(rerank.searches, Budget(rerank.depth, rerank.deadline_ms, rerank.margin)),
        only_collection_path=_only_collection_path(settings),
        page_path=PATH,
        reranker_names=frozenset((rerank.name, str(rerank.options.get("model", rerank.name)))),
    )


def page_options(settings: Settings) -> PageOptions:
    return PageOptions(api_url=api_url(settings), path=PATH, uploads_path=settings.data_dir / "page")


def _media_path(settings: Settings) -> Path:
    return settings.data_dir / "media"


def _only_collection_path(settings: Settings) -> Path | None:
    """Where all collections are that one ingress writes to; None where others may write too."""
    shared = settings.ray.ingress != "direct" or settings.index.uri is not None
    return None if shared else settings.data_dir / settings.index.backend


def ocr_deployment(settings: Settings) -> Any:
    return deployment(OcrDeployment, "Ocr", ScaleSettings(num_cpus=settings.ocr.num_cpus))


def ocr_options(settings: Settings) -> OcrOptions:
    ocr = settings.ocr
    return OcrOptions(
        media_path=_media_path(settings),
        images=settings.image_limits,
        enhancement=Enhancement(**ocr.enhance.model_dump()),
        limits=OcrLimits(max_queued=ocr.max_queued, sweep_interval_s=ocr.sweep_interval_s),
        threads=ocr.threads,
        min_score=ocr.min_score,
    )


def cache_options(settings: Settings) -> CacheOptions | None:
    cache = settings.cache
    if cache.backend == "none":
        return None
    return CacheOptions(
        backend=cache.backend,
        path=settings.cache_dir / "embeddings.sqlite3",
        max_bytes=cache.max_bytes,
        url=None if cache.url is None else cache.url.get_secret_value(),
    )
