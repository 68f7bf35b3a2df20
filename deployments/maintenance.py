"""The Maintenance deployment: builds versions, removes dropped ones, and keeps the canary. One replica.

All that it is to do is in the catalog: whoever asks for something writes a row, and a replica that takes the place of
one that was killed finds what is left to do.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from deployments.catalog.builds import BuildLost, Builds
from deployments.catalog.catalog import Catalog
from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.versions import Report, Version
from deployments.catalog.view import VersionGone
from deployments.database import Database
from deployments.encode_calls import EncodeCalls
from deployments.errors import CrossrayError
from deployments.logs import follow_serve
from deployments.ports import IndexPort
from deployments.reindex.build import Build
from deployments.reindex.canary import CanaryLimits, CanaryWatch
from deployments.reindex.vectors import VectorSource
from deployments.remote import RemoteIndex, call_again
from deployments.running_encoders import RunningEncoders, ask_running, not_running
from retrieval import MediaOptions, MediaStore, RetrievalError, Vector, open_media
from retrieval.errors import IndexUnavailable

TICK_S = 0.5
GRACE_S = 2.0
"""A version that goes is still asked by who saw the catalog just before."""
PAGE = 200
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MaintenanceOptions:
    """What the Maintenance replica is told."""

    media: MediaOptions
    database_url: str
    encode_calls: EncodeCalls
    canary: CanaryLimits


class Maintenance:
    """What there is to do, over ports."""

    def __init__(
        self,
        catalog: Catalog,
        encoders: RunningEncoders,
        media: MediaStore,
        *,
        index: Callable[[int], IndexPort],
        drop: Callable[[Version], Awaitable[None]],
        recent: Callable[[int], Awaitable[list[Vector]]],
        canary: CanaryLimits,
        on_recall: Callable[[str, float], None] = lambda collection, recall: None,
    ) -> None:
        """`index` makes the port of a version, `drop` deletes one, `recent` are the vectors that it was asked for."""
        self._catalog = catalog
        self._loose_files = LooseFiles(catalog.database)
        self._builds = Builds(catalog, uuid.uuid4().hex)
        self._encoders = encoders
        self._media = media
        self._index = index
        self._drop_index = drop
        self._building: tuple[int, asyncio.Task[None]] | None = None
        self.canary = CanaryWatch(catalog, canary, index, recent, on_recall)

    async def run(self) -> None:
        """Until cancelled, and then the build under way is left to whoever comes next."""
        try:
            await self._look()
        finally:
            if self._building is not None:
                self._building[1].cancel()
                await asyncio.wait([self._building[1]])

    async def _look(self) -> None:
        while True:
            try:
                await self._start_build()
                for version in await asyncio.to_thread(self._catalog.in_state, "dropping"):
                    if time.time() - version.changed_at >= GRACE_S and not self._is_building(version):
                        await self._try_to_drop(version)
            except (CrossrayError, RetrievalError) as error:
                log.warning("maintenance waits: %s", error)
            await asyncio.sleep(TICK_S)

    def _is_building(self, version: Version) -> bool:
        return self._building is not None and self._building[0] == version.id and not self._building[1].done()

    async def _start_build(self) -> None:
        """One build at a time; others wait with their journals open."""
        if self._building is not None and not self._building[1].done():
            return
        version = await asyncio.to_thread(self._builds.claim)
        self._building = None if version is None else (version.id, asyncio.create_task(self._build(version)))

    async def _build(self, version: Version) -> None:
        try:
            live = (await asyncio.to_thread(self._catalog.collections))[version.collection].live
            vectors = VectorSource(live.contract, version.contract, self._encoders, self._media)
            if vectors.is_none:
                reason = not_running(version)
                log.error("version %d is not built: %s", version.id, reason)
                waiting = Report(detail=f"waiting: {reason}")
                await asyncio.to_thread(self._builds.note, version.id, waiting)
                return
            await Build(self._catalog, self._builds, version, live, self._index, vectors).run()
        except BuildLost as error:
            log.info("%s", error)
        except Exception:
            log.exception("the build of version %d failed, and is taken up again", version.id)

    async def _try_to_drop(self, version: Version) -> None:
        """One that cannot go keeps neither others nor builds waiting, and is tried again."""
        try:
            await self._drop(version)
        except (CrossrayError, RetrievalError, OSError) as error:
            log.warning("version %d is not dropped yet: %s", version.id, error)
        except Exception:
            log.exception("version %d is not dropped yet", version.id)

    async def _drop(self, version: Version) -> None:
        """Says which media files lose a name, removes the index, and forgets the version."""
        try:
            await self._loosen(version)
        except IndexUnavailable:
            raise
        except VersionGone:
            pass  # nothing is left of it, or never was
        except RetrievalError as error:
            log.warning("version %d goes unread, its files may stay: %s", version.id, error)

        await self._drop_index(version)
        await asyncio.to_thread(self._catalog.forget, version.id)

    async def _loosen(self, version: Version) -> None:
        """All but what the live version names by the same item: that is nearly all of it, as a rule."""
        collection = (await asyncio.to_thread(self._catalog.collections)).get(version.collection)
        live = None if collection is None else self._index(collection.live.id)
        index, after = self._index(version.id), ""
        while page := await index.scan(after, PAGE):
            ids = [record.id for record in page]
            kept = [None] * len(ids) if live is None else await live.get(ids)
            media = [record.payload.media for record in page]
            still = [None if record is None else record.payload.media for record in kept]
            loose = [one for one, other in zip(media, still, strict=True) if one is not None and one != other]
            await asyncio.to_thread(self._loose_files.add, loose)
            after = ids[-1]


class MaintenanceDeployment:
    """The Serve side: ports out of handles, and the loops."""

    async def __init__(self, options: MaintenanceOptions, retriever: Any, *encoders: Any) -> None:  # type: ignore[misc]
        """`retriever` and `encoders` are Serve DeploymentHandles."""
        from deployments.recorders import CanaryMetrics

        follow_serve()
        os.nice(5)  # A search on the same cores goes first.
        self._options = options
        self._database = Database(options.database_url)

        async def drop(version: Version) -> None:
            await call_again(lambda: retriever.drop.remote(version), "index", lambda target: None)

        async def recent(version: int) -> list[Vector]:
            found: list[Vector] = await call_again(
                lambda: retriever.recent_queries.remote(version), "index", lambda target: None
            )
            return found

        maintenance = Maintenance(
            await asyncio.to_thread(Catalog, self._database),
            RunningEncoders([await ask_running(handle, options.encode_calls) for handle in encoders]),
            open_media(options.media),
            index=lambda version: RemoteIndex(retriever, version, fresh=True),
            drop=drop,
            recent=recent,
            canary=options.canary,
            on_recall=CanaryMetrics().recall,
        )
        self._tasks = [asyncio.create_task(maintenance.run())]
        if options.canary.interval_s:
            self._tasks.append(asyncio.create_task(maintenance.canary.run()))

    async def check_health(self) -> None:
        """Serve replaces the replica when this raises."""
        for task in self._tasks:
            if task.done():
                raise RuntimeError(f"maintenance has stopped: {task.exception()!r}")

    async def __del__(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        self._database.close()
