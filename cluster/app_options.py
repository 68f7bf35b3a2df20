"""The settings as the options that each deployment is made with."""

from __future__ import annotations

from pathlib import Path

from cluster.jobs_options import jobs_options
from cluster.model_settings import EncoderSettings
from cluster.page import PATH, api_url
from cluster.settings import CALIBRATIONS, Settings
from deployments.api import HttpLimits
from deployments.audit import AuditOptions
from deployments.batch_queue import BatchLimits
from deployments.cached import CacheOptions
from deployments.cascade import Budget
from deployments.encode_calls import EncodeCalls
from deployments.index_places import IndexPlaces
from deployments.ingress import IngressOptions
from deployments.jobs.deployment import IngestOptions
from deployments.keys.options import KeyOptions
from deployments.keys.rates import Rate
from deployments.live_writing import WritingOptions
from deployments.maintenance import MaintenanceOptions
from deployments.media_sweep import MediaSweepOptions
from deployments.model_options import ModelOptions
from deployments.ocr import OcrLimits
from deployments.ocr_deployment import OcrOptions
from deployments.page import PageOptions
from deployments.reindex.canary import CanaryLimits
from deployments.retriever_deployment import RetrieverOptions
from deployments.rewriting import RewriteDefaults
from deployments.services import RerankDefaults
from deployments.traces import TraceOptions
from encoders.enhance import Enhancement
from retrieval import MediaOptions


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


def encode_calls(settings: Settings) -> EncodeCalls:
    encoder = settings.encoder
    return EncodeCalls(
        items=encoder.max_batch_size,
        interactive=encoder.interactive_calls,
        bulk=encoder.bulk_calls,
        held=encoder.max_queued,
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
    return RetrieverOptions(index_places(settings), _database_url(settings))


def index_places(settings: Settings) -> IndexPlaces:
    index = settings.index
    return IndexPlaces(
        backend=index.backend,
        data_dir=settings.data_dir,
        uri=index.uri,
        embedded=index.embedded_options,
        milvus=index.milvus_options,
    )


def _database_url(settings: Settings) -> str:
    return settings.database.url_in(settings.data_dir)


def ingress_options(settings: Settings) -> IngressOptions:
    rerank = settings.rerank
    return IngressOptions(
        writing=writing_options(settings),
        calibration_path=settings.data_dir / CALIBRATIONS,
        http=HttpLimits(
            max_body_bytes=settings.http.max_body_bytes,
            max_job_bytes=settings.jobs.max_upload_bytes,
            request_timeout_s=settings.http.request_timeout_s,
            max_requests=settings.http.max_requests,
            max_requests_with_writes=int(settings.http.max_requests * settings.http.writes_share),
            slow_s=settings.logs.slow_s,
            allowed_hosts=settings.http.served_hosts,
            allowed_origins=settings.http.allowed_origins,
            rate=Rate(settings.auth.rate_per_s, settings.auth.burst),
        ),
        audit=AuditOptions(settings.audit.enabled, settings.audit_path),
        keys=key_options(settings),
        cache=cache_options(settings),
        rewrite=RewriteDefaults(settings.queries.rewrite, settings.queries.structurer.deadline_ms),
        rerank=RerankDefaults(rerank.searches, Budget(rerank.depth, rerank.deadline_ms, rerank.margin)),
        jobs=jobs_options(settings) if settings.jobs.enabled else None,
        media_sweep=_media_sweep_options(settings),
        places=index_places(settings),
        only_collection_path=_only_collection_path(settings),
        traces=trace_options(settings),
        page_path=PATH,
        reranker_names=frozenset((rerank.name, str(rerank.options.get("model", rerank.name)))),
    )


def key_options(settings: Settings) -> KeyOptions:
    auth = settings.auth
    return KeyOptions(
        required=settings.requires_keys,
        static_keys="" if auth.static_keys is None else auth.static_keys.get_secret_value(),
        refresh_s=auth.refresh_s,
        max_stale_s=auth.max_stale_s,
    )


def trace_options(settings: Settings) -> TraceOptions | None:
    traces = settings.traces
    return None if traces.endpoint is None else TraceOptions(traces.endpoint, traces.share)


def ingest_options(settings: Settings) -> IngestOptions:
    return IngestOptions(jobs_options(settings), writing_options(settings))


def writing_options(settings: Settings) -> WritingOptions:
    return WritingOptions(
        database_url=_database_url(settings),
        media=media_options(settings),
        images=settings.image_limits,
        thumbnails=settings.media.thumbnails,
        encode_calls=encode_calls(settings),
    )


def maintenance_options(settings: Settings) -> MaintenanceOptions:
    return MaintenanceOptions(
        media=media_options(settings),
        database_url=_database_url(settings),
        encode_calls=encode_calls(settings),
        canary=CanaryLimits(**settings.canary.model_dump()),
    )


def page_options(settings: Settings) -> PageOptions:
    return PageOptions(api_url=api_url(settings), path=PATH, uploads_path=settings.data_dir / "page")


def media_options(settings: Settings) -> MediaOptions:
    return settings.media.options_in(settings.data_dir)


def _media_sweep_options(settings: Settings) -> MediaSweepOptions | None:
    """None where the rows are gone with each restart, or may be a server's that the catalog does not know of."""
    if settings.index.backend == "memory" or (settings.index.uri is not None and not settings.media.sweep_server):
        return None
    folder = settings.data_dir / settings.index.backend
    return MediaSweepOptions(settings.media.sweep_interval_s, settings.media.grace_s, folder)


def _only_collection_path(settings: Settings) -> Path | None:
    """Where all collections are that one ingress writes to; None where others may write too."""
    jobs = settings.jobs
    shared = settings.ray.ingress != "direct" or settings.index.uri is not None
    shared |= jobs.enabled and jobs.worker == "replicas"
    return None if shared else settings.data_dir / settings.index.backend


def ocr_options(settings: Settings) -> OcrOptions:
    ocr = settings.ocr
    return OcrOptions(
        media=media_options(settings),
        images=settings.image_limits,
        enhancement=Enhancement(**ocr.enhance.model_dump()),
        limits=OcrLimits(max_queued=ocr.max_queued, sweep_interval_s=ocr.sweep_interval_s),
        threads=ocr.threads,
        min_score=ocr.min_score,
        database_url=_database_url(settings),
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
