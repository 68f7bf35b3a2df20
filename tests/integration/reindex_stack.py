"""Collections over a real catalog and embedded indexes in one process, without Ray: the HTTP API and the builder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

from deployments.all_versions import AllVersions, release_loose
from deployments.api import HttpLimits, build_api
from deployments.batch_queue import BatchLimits
from deployments.catalog.catalog import Catalog
from deployments.catalog.journaled import JournaledIndex
from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.versions import UNDER_WAY, Collection, Version
from deployments.catalog.view import CatalogView
from deployments.collection_admin import CollectionAdmin
from deployments.database import Database
from deployments.encoder import EncoderWorker
from deployments.index_places import IndexPlaces
from deployments.item_files import ItemFiles
from deployments.local import LocalEncoder
from deployments.maintenance import Maintenance
from deployments.open_versions import OpenVersions
from deployments.prepare_pool import PreparePool
from deployments.reindex.canary import CanaryLimits
from deployments.remote import RemoteIndex
from deployments.resolving import LiveCollections
from deployments.running_encoders import MissingEncoder, RunningEncoder, RunningEncoders, described, not_running
from deployments.services import Services, build_services
from encoders.fake import FakeEncoder
from encoders.images import ImageLimits
from retrieval import EmbeddedOptions, FolderMedia, MilvusOptions


class Ingress:
    """What an ingress replica has: a view of its own."""

    def __init__(self, stack: Stack) -> None:
        self.view = CatalogView(stack.catalog)
        self.media = FolderMedia(stack.folder / "media")
        rows = AllVersions(self.view, stack.index)
        self.files = ItemFiles(self.media, rows, ImageLimits(), sole_writer=True)
        encoders = stack.encoders

        def build(version: Version) -> Services:
            own = encoders.of(version.contract)
            return build_services(
                encoders.first.port if own is None else own.port,
                JournaledIndex(stack.index(version.id), self.view, version),
                self.media,
                described(version, encoders.first.info) if own is None else own.info,
                ImageLimits(),
                cached=MissingEncoder(not_running(version)) if own is None else None,
                note=not_running(version) if own is None else "",
                others=[(one.cached, one.info) for one in encoders.beside(version.contract)],
                files=self.files,
            )

        self.collections = LiveCollections(self.view, build, encoders.first.info.contract.fingerprint)
        self.admin = CollectionAdmin(stack.catalog, self.view, encoders, stack.places, stack.index)
        app = build_api(self.collections, HttpLimits(), collection_admin=self.admin)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://crossray")


class Stack:
    """`dims` are those of the fake encoders that run; the first is the settings'."""

    def __init__(self, folder: Path, dims: tuple[int, ...] = (32, 48), **embedded: Any) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/state.sqlite3")
        self.catalog = Catalog(self.database)
        self.places = IndexPlaces("embedded", folder, None, EmbeddedOptions(**embedded), MilvusOptions())
        self.versions = OpenVersions(self.catalog, self.places)
        self._handle = SimpleNamespace(ask=SimpleNamespace(remote=self._ask))
        fakes = [FakeEncoder(dim) for dim in dims]
        self.workers = [EncoderWorker(fake, BatchLimits(), pool=PreparePool(fake.preparer, 1)) for fake in fakes]
        ports = [LocalEncoder(worker) for worker in self.workers]
        self.encoders = RunningEncoders(
            [RunningEncoder(port, port, fake.info) for port, fake in zip(ports, fakes, strict=True)]
        )
        info = fakes[0].info
        self.catalog.ensure_default(self.places.first_plan(info), place=self.places.first_place(info))
        self.ingress = Ingress(self)
        self.http = self.ingress.http
        self._tasks: list[asyncio.Task[None]] = []

    async def _ask(self, version: int, call: str, *arguments: Any, fresh: bool, **_: Any) -> Any:
        """What a Retriever replica does, but for deadlines and logs."""
        return await self.versions.ask(version, call, *arguments, fresh=fresh)

    def index(self, version: int) -> RemoteIndex:
        return RemoteIndex(self._handle, version)

    def maintenance(self) -> Maintenance:
        async def recent(version: int) -> list[Any]:
            return self.versions.recent_queries(version)

        return Maintenance(
            self.catalog,
            self.encoders,
            FolderMedia(self.folder / "media"),
            index=self.index,
            drop=self.versions.drop,
            recent=recent,
            canary=CanaryLimits(interval_s=0),
        )

    @contextlib.asynccontextmanager
    async def maintained(self) -> AsyncIterator[None]:
        """With the builder, and the sweeper of files."""
        tasks = [
            asyncio.create_task(self.maintenance().run()),
            asyncio.create_task(release_loose(LooseFiles(self.catalog.database), self.ingress.files)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def default(self) -> Collection:
        return self.catalog.collections()["default"]

    def folders(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "embedded").iterdir())

    def media_files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "media").rglob("*") if path.is_file())

    async def add(self, **item: Any) -> str:
        answer = await self.http.post("/v1/items", json=item)
        assert answer.is_success, answer.text
        return str(answer.json()["id"])

    async def reindex(self, **body: Any) -> int:
        """The number of the version whose build was begun."""
        answer = await self.http.post("/v1/collections/default/reindex", json=body)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["id"])

    async def ended(self, version: int) -> Version:
        """The version once it is built, whatever came of it."""
        async with asyncio.timeout(60):
            while (found := self.catalog.version(version)) is not None and found.state in UNDER_WAY:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert found is not None
        return found

    async def close(self) -> None:
        await self.http.aclose()
        await self.versions.close()
        for worker in self.workers:
            await worker.close()
        self.database.close()
