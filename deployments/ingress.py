"""The Ingress deployment: the Serve side of the HTTP API. It puts handles behind the ports and builds the app."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from starlette.types import ASGIApp

from deployments.activity import Activity
from deployments.admission import Admission
from deployments.all_versions import AllVersions, release_loose
from deployments.api import HttpLimits, build_api
from deployments.audit import AuditOptions, open_audit
from deployments.browser_headers import PAGE_POLICY, BrowserHeaders
from deployments.cached import CachedEncoder, CacheOptions, Lookup, open_cached
from deployments.calibration import CalibrationFile
from deployments.catalog.catalog import Catalog
from deployments.catalog.journaled import JournaledIndex
from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.versions import State, Version
from deployments.catalog.view import CatalogView
from deployments.cluster_state import ServeState
from deployments.collection_admin import CollectionAdmin
from deployments.database import Database
from deployments.doorbell import RemoteDoorbell
from deployments.index_places import IndexPlaces
from deployments.item_files import ItemFiles
from deployments.jobs.ingress import IngressJobs
from deployments.jobs.options import JobsOptions
from deployments.keys.options import KeyOptions, open_ring
from deployments.live_writing import WritingOptions
from deployments.logs import follow_serve
from deployments.media_sweep import MediaSweep, MediaSweepOptions
from deployments.page_entry import PageEntry
from deployments.page_route import PageRoute
from deployments.ports import EncodePort
from deployments.recorders import IngressMetrics
from deployments.remote import RemoteIndex, RemoteReranker, RemoteStructurer, call_again
from deployments.resolving import LiveCollections, LiveItems
from deployments.rewriting import RewriteDefaults
from deployments.running_encoders import MissingEncoder, RunningEncoders, ask_running, described, not_running
from deployments.services import RerankDefaults, Services, build_services
from deployments.traces import TraceOptions, open_traces
from deployments.writers_lock import WritersLock
from encoders import EncoderInfo
from retrieval import open_media


@dataclass(frozen=True, slots=True)
class IngressOptions:
    """What an Ingress replica is told."""

    writing: WritingOptions
    calibration_path: Path
    """The folder of the calibrations."""
    http: HttpLimits
    keys: KeyOptions
    audit: AuditOptions
    cache: CacheOptions | None
    """None for no embedding cache."""
    rewrite: RewriteDefaults
    """How queries are rewritten where a request does not say."""
    rerank: RerankDefaults
    """How searches are reranked where a request does not say."""
    reranker_names: frozenset[str]
    """What the reranker's model goes by, which may be asleep and cannot be asked."""
    media_sweep: MediaSweepOptions | None
    """None where rows that nobody here can ask may name media files."""
    only_collection_path: Path | None
    """The folder of this back end's collections where this is the only ingress; None where there are several."""
    jobs: JobsOptions | None
    """None for no jobs."""
    places: IndexPlaces
    """Where the default collection begins."""
    traces: TraceOptions | None
    """None for no traces."""
    page_path: str
    """Where the web page is, without a slash at the end; only a cluster that runs it answers there."""

    @property
    def writers_lock_path(self) -> Path | None:
        """Held by who writes items beside the only ingress; None where that removes no files anyway."""
        return None if self.only_collection_path is None else self.only_collection_path.parent / "writers.lock"


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """What who writes items beside the ingress has to know, to write them as it does."""

    writing: WritingOptions
    lock_path: Path | None
    """To be shared by who writes; see `IngressOptions.writers_lock_path`."""
    encoders: tuple[str, ...]
    """The names of their deployments, the settings' encoder first."""
    reads_images: bool
    """An Ocr deployment is there, to be rung at."""


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
        ingest: Any = None,
        maintenance: Any = None,
    ) -> None:
        """`encoder`, `retriever` and, where they are on, the rest are Serve DeploymentHandles; `others` of encoders."""
        follow_serve()
        info: EncoderInfo = await encoder.info.remote()
        self._metrics = metrics = IngressMetrics()
        self._limits = options.http
        self._traces = None if options.traces is None else await asyncio.to_thread(open_traces, options.traces)
        self._occupancy = options.http.occupancy()
        writing = options.writing
        names = tuple(one.deployment_name for one in (encoder, *others))
        self._writer_options = WriterOptions(writing, options.writers_lock_path, names, reads_images=ocr is not None)
        self._page, self._page_path = page, options.page_path
        self._activity, self._cluster = Activity(), ServeState(encoder)
        self._caches: list[CachedEncoder] = []
        self._database = Database(writing.database_url)
        await asyncio.to_thread(open_audit, options.audit)
        self._keys = open_ring(options.keys, self._database)
        catalog = await asyncio.to_thread(Catalog, self._database)
        plan, place = options.places.first_plan(info), options.places.first_place(info)
        await asyncio.to_thread(lambda: catalog.ensure_default(plan, place=place))
        view = CatalogView(catalog)
        cached = partial(self._cached, options.cache)
        running = [await ask_running(one, writing.encode_calls, metrics.retry, cached) for one in (encoder, *others)]
        encoders = RunningEncoders(running)
        media = open_media(writing.media)
        rows = AllVersions(view, lambda version: RemoteIndex(retriever, version, fresh=True, on_retry=metrics.retry))
        sole_writer = await asyncio.to_thread(_is_sole_writer, options, catalog)
        files = ItemFiles(
            media,
            rows,
            writing.images,
            sole_writer=sole_writer,
            thumbnails=writing.thumbnails,
            others=None if (path := options.writers_lock_path) is None else WritersLock(path),
        )
        self._sweeping = [asyncio.create_task(release_loose(LooseFiles(self._database), files))]
        sweep = options.media_sweep
        if sweep is not None and await asyncio.to_thread(_are_all_known, sweep.collections_path, catalog):
            sweeping = MediaSweep(media, rows, grace_s=sweep.grace_s).run(sweep.interval_s)
            self._sweeping.append(asyncio.create_task(sweeping))
        doorbell = None if ocr is None else RemoteDoorbell(ocr)
        remote_structurer = None if structurer is None else RemoteStructurer(structurer, metrics.retry)
        remote_reranker = None if reranker is None else RemoteReranker(reranker, options.reranker_names, metrics.retry)

        def build(version: Version) -> Services:
            own = encoders.of(version.contract)
            index = RemoteIndex(retriever, version.id, on_retry=metrics.retry)
            return build_services(
                encoders.first.port if own is None else own.port,
                JournaledIndex(index, view, version),
                media,
                described(version, encoders.first.info) if own is None else own.info,
                writing.images,
                cached=MissingEncoder(not_running(version)) if own is None else own.cached,
                note=not_running(version) if own is None else "",
                others=[(one.cached, one.info) for one in encoders.beside(version.contract)],
                rewrite=options.rewrite,
                structurer=remote_structurer,
                on_rewrite=metrics.rewrite,
                files=files,
                on_unread=lambda id: None if doorbell is None else doorbell(version.collection, id),
                reranker=remote_reranker,
                rerank=options.rerank,
                on_rerank=metrics.rerank,
                calibration=CalibrationFile(options.calibration_path, version.fingerprint).current,
            )

        self._collections = LiveCollections(view, build, info.contract.fingerprint)
        self._admin = CollectionAdmin(catalog, view, encoders, options.places, lambda id: RemoteIndex(retriever, id))
        items = LiveItems(self._collections)
        self._jobs = None if options.jobs is None else IngressJobs(options.jobs, items, ingest)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        api = build_api(
            self._collections,
            self._limits,
            occupancy=self._occupancy,
            keys=self._keys,
            collection_admin=self._admin,
            activity=self._activity,
            cluster=self._cluster,
            job_service=None if self._jobs is None else self._jobs.service,
            on_done=self._metrics.answered,
            on_error=self._metrics.error,
            echoes_request_id=True,
            traces=self._traces,
        )
        if self._page is None:
            return api
        admission = Admission(self._limits.allowed_hosts)
        entry = PageEntry(self._keys, self._page_path)
        page = PageRoute(api, self._page_address, path=self._page_path, admission=admission, entry=entry)
        return BrowserHeaders(page, PAGE_POLICY)

    async def drain(self, within_s: float) -> int:
        """See `Occupancy.drain`: before all deployments are stopped at once, and this one would miss the others."""
        return await self._occupancy.drain(within_s)

    async def writer_options(self) -> WriterOptions:
        """For `crossray index`, whose tasks in this cluster write items themselves."""
        return self._writer_options

    async def _page_address(self) -> str:
        def ask() -> Any:
            return self._page.address.remote()

        address: str = await call_again(ask, "page", self._metrics.retry)
        return address

    def _cached(self, options: CacheOptions | None, port: EncodePort, info: EncoderInfo) -> EncodePort:
        if options is None:
            return port

        def looked_up(result: Lookup, count: int) -> None:
            self._metrics.cache_lookup(result, count)
            self._activity.looked_up(result, count)

        cached = open_cached(port, options, info, on_lookup=looked_up, on_error=self._metrics.cache_error)
        self._caches.append(cached)
        return cached

    async def __del__(self) -> None:
        for task in self._sweeping:
            task.cancel()
        if self._jobs is not None:
            await self._jobs.close()
        for cached in self._caches:
            await cached.close()
        self._database.close()
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)


def _is_sole_writer(options: IngressOptions, catalog: Catalog) -> bool:
    """Whether no item outside the catalog's versions can name a media file: not of another ingress, nor of a folder
    from before there were versions that another encoder or another back end made."""
    folder = options.only_collection_path
    return folder is not None and _are_all_known(folder, catalog)


def _are_all_known(folder: Path, catalog: Catalog) -> bool:
    """Whether the catalog has all indexes in the data folder: those from before it are named by fingerprints."""
    known = {(version.backend, version.place) for version in catalog.in_state(*get_args(State))}
    found = folder.parent.glob("*/" + "[0-9a-f]" * 16)
    return all((one.parent.name, one.name) in known for one in found)
