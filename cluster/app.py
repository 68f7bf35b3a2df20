"""The builder: settings in, a Serve application out. All `bind()` calls are here.

No `from __future__ import annotations` in this module: Serve reads the builder's annotation to parse its arguments.
"""

from ray import serve
from ray.serve import Application

from cluster.app_options import (
    encoder_options,
    ingest_options,
    ingress_options,
    maintenance_options,
    media_options,
    ocr_options,
    page_options,
    reranker_options,
    retriever_options,
    structurer_options,
)
from cluster.deployment_options import deployment, encoder_deployment, ingest_deployment
from cluster.page import page_runs
from cluster.section import ScaleSettings
from cluster.settings import Settings
from deployments.ingress import IngressDeployment
from deployments.maintenance import MaintenanceDeployment
from deployments.ocr_deployment import OcrDeployment
from deployments.page import PageDeployment
from deployments.rerank import RerankDeployment
from deployments.retriever_deployment import RetrieverDeployment
from deployments.structurer import StructurerDeployment


def build_app(settings: Settings) -> Application:
    """Ingress → {Encoders, Retriever, and where they are on Ocr, Reranker and QueryStructurer}, under these settings.

    Raises SettingsError where a model is not told its checkpoint.
    """
    settings.require_checkpoints()
    encoder = encoder_deployment("Encoder", settings.encoder).bind(encoder_options(settings, settings.encoder))
    others = [
        encoder_deployment(f"Encoder-{at}-{other.name}", other).bind(encoder_options(settings, other))
        for at, other in enumerate(settings.other_encoders, start=2)
    ]
    retriever = deployment(RetrieverDeployment, "Retriever", settings.index.scale).bind(
        retriever_options(settings), encoder
    )
    ocr = None
    if settings.ocr.enabled:
        scale = ScaleSettings(num_cpus=settings.ocr.num_cpus)
        ocr = deployment(OcrDeployment, "Ocr", scale).bind(ocr_options(settings), retriever)
    reranker = None
    if settings.rerank.enabled:
        reranker = deployment(RerankDeployment, "Reranker", settings.rerank.scale).bind(
            reranker_options(settings), media_options(settings)
        )
    structurer = None
    if settings.queries.runs_structurer:
        structurer = deployment(StructurerDeployment, "QueryStructurer", settings.queries.structurer.scale).bind(
            structurer_options(settings)
        )
    ingest = None
    if settings.jobs.enabled and settings.jobs.worker == "replicas":
        ingest = ingest_deployment(settings).bind(ingest_options(settings), encoder, retriever, ocr, *others)
    maintenance = deployment(MaintenanceDeployment, "Maintenance", settings.maintenance_scale).bind(
        maintenance_options(settings), retriever, encoder, *others
    )
    page = None
    if page_runs(settings):
        scale = ScaleSettings(num_cpus=settings.page.num_cpus)
        page = deployment(PageDeployment, "Page", scale).bind(page_options(settings))
    ingress: Application = deployment(serve.ingress()(IngressDeployment), "Ingress", settings.http.scale).bind(
        ingress_options(settings),
        encoder,
        retriever,
        ocr,
        reranker,
        structurer,
        *others,
        page=page,
        ingest=ingest,
        maintenance=maintenance,
    )
    return ingress
