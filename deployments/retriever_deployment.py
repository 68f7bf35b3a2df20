"""The Retriever deployment: owns the indexes and answers batches of calls to them, each for a version of a collection.

What goes wrong comes back as a value beside the results, so that one bad query cannot fail its neighbours and errors
keep their class across processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from dataclasses import dataclass
from typing import Any

from deployments.catalog.catalog import Catalog
from deployments.catalog.versions import ANNOUNCE_S, DEFAULT, BuildOptions, Plan, Version
from deployments.database import Database
from deployments.deadline import Deadline, too_late
from deployments.errors import Conflict, CrossrayError, NotFound
from deployments.index_places import IndexPlaces
from deployments.logs import follow_serve, log_call
from deployments.open_versions import OpenVersions
from deployments.retriever import RetrieverWorker
from encoders import EncoderInfo
from retrieval import RetrievalError, Vector

IDLE_S = 30.0
"""An announced build is nobody's for so long."""
LOOK_S = 10.0
"""Between looks at the indexes, for metrics and for versions that nobody needs open any more."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetrieverOptions:
    """Which indexes a Retriever replica opens, and where the names of them are kept."""

    places: IndexPlaces
    database_url: str


class RetrieverDeployment:
    """The Serve side of OpenVersions: opens the live versions with the replica, and closes all with it."""

    async def __init__(self, options: RetrieverOptions, encoder: Any) -> None:  # type: ignore[misc]
        """`encoder` is the Encoder's handle: the default collection begins under the contract of what runs."""
        from deployments.recorders import IndexMetrics

        follow_serve()
        self._metrics = IndexMetrics()
        self._data_dir = options.places.data_dir
        info: EncoderInfo = await encoder.info.remote()
        self._database = Database(options.database_url)
        catalog = await asyncio.to_thread(Catalog, self._database)
        self._versions = OpenVersions(catalog, options.places)
        await self._fit_default(catalog, options.places, info)
        for collection in (await asyncio.to_thread(catalog.collections)).values():
            await self._versions.opened(collection.live.id)
        self._looking = asyncio.create_task(self._look(catalog))

    async def ask(
        self,
        version: int,
        call: str,
        *arguments: Any,
        fresh: bool = False,
        deadline: Deadline | None = None,
        request_ids: tuple[str, ...] = (),
    ) -> Any:
        """See `OpenVersions.ask`. `request_ids` are of what it is asked for, for the log.

        Raises DeadlineExceeded for what came too late; then nothing was done.
        """
        if deadline is not None and deadline.is_over():
            raise too_late("the index was asked")
        started = time.perf_counter()
        answer = await self._versions.ask(version, call, *arguments, fresh=fresh)
        log_call(log, call, request_ids, started, version=version)
        return answer

    async def recent_queries(self, version: int) -> list[Vector]:
        return self._versions.recent_queries(version)

    async def drop(self, version: Version) -> None:
        """See `OpenVersions.drop`."""
        await self._versions.drop(version)

    async def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        if faults := await self._versions.faults():
            raise RuntimeError("; ".join(faults))

    async def _fit_default(self, catalog: Catalog, places: IndexPlaces, info: EncoderInfo) -> None:
        """The default collection follows the settings as long as it holds nothing; after that it needs a reindex."""
        plan, place = places.first_plan(info), places.first_place(info)
        live = await asyncio.to_thread(lambda: catalog.ensure_default(plan, place=place))
        if (live.fingerprint, live.backend) == (plan.contract.fingerprint, plan.backend):
            return
        with contextlib.suppress(Conflict):  # another replica was first
            await self._replace(catalog, live, plan, place)

    async def _replace(self, catalog: Catalog, live: Version, plan: Plan, place: str) -> None:
        """Where `live` is still empty once every writer knows of what is to come. Raises Conflict.

        It is announced as a build, which is what it becomes where this replica ends before it is done.
        """
        index = (await self._versions.opened(live.id)).worker
        if await self._is_empty(index):
            build = BuildOptions(keep=False)
            announced = await asyncio.to_thread(
                lambda: catalog.begin_build(DEFAULT, plan, build, idle_until=time.time() + IDLE_S)
            )
            try:
                await asyncio.sleep(ANNOUNCE_S)
                if await self._is_empty(index):
                    await asyncio.to_thread(
                        lambda: catalog.replace_empty(DEFAULT, live.id, plan, announced=announced.id, place=place)
                    )
                    return
            except Conflict:
                log.info("the collection default was written to meanwhile")
            with contextlib.suppress(NotFound):
                await asyncio.to_thread(catalog.drop_version, DEFAULT, announced.id)
        log.warning("the collection default stays in %s, made by %s", live.backend, live.encoder)

    @staticmethod
    async def _is_empty(index: RetrieverWorker) -> bool:
        await index.catch_up()
        return (await index.count()).unwrap() == 0

    async def _look(self, catalog: Catalog) -> None:
        while True:
            try:
                live = await asyncio.to_thread(catalog.collections)
                await self._versions.report({one.live.id: name for name, one in live.items()}, self._metrics.index)
                disk = await asyncio.to_thread(shutil.disk_usage, self._data_dir)
                self._metrics.data(disk.free, disk.used)
                await asyncio.sleep(LOOK_S)
                await self._versions.close_unused()
            except (CrossrayError, RetrievalError, OSError) as error:
                log.warning("versions were not looked at: %s", error)
                await asyncio.sleep(LOOK_S)

    async def __del__(self) -> None:
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking
        await self._versions.close()
        self._database.close()
