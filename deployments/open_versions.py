"""The indexes that a Retriever replica has open, one a version: opened when first asked for, closed when dropped."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from deployments.catalog.catalog import Catalog
from deployments.catalog.versions import Version
from deployments.catalog.view import VersionGone
from deployments.id_locks import IdLocks
from deployments.index_places import IndexPlaces
from deployments.retriever import Answer, RetrieverWorker
from retrieval import IndexHealth, Query, RetrievalError, Vector
from retrieval.errors import IndexFault, IndexUnavailable

CALLS = frozenset(
    ("search", "search_alone", "search_text", "upsert", "set_ocr", "get", "delete", "scan", "count", "sample", "health")
)
READS = frozenset(("get", "scan", "count"))
"""Which a Milvus server may answer from before what another replica wrote."""
RECENT = 64
"""Vectors of searches that are remembered, a version."""
IDLE_S = 60.0
"""A version that is not live and that nobody asked for so long is closed."""

OnIndex: TypeAlias = Callable[[str, IndexHealth | None, bool | None], None]
"""Hears of a collection, of its live index's health where it answers, and whether its breaker is open if it has one."""


class OpenVersion:
    """A worker over an open index, and who is at it."""

    def __init__(self, version: Version, worker: RetrieverWorker) -> None:
        self.version = version
        self.worker = worker
        self.recent: deque[Vector] = deque(maxlen=RECENT)
        self.asked_at = time.monotonic()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def ask(self, call: str, *arguments: Any) -> Any:
        self._calls += 1
        self._idle.clear()
        try:
            if call == "search":
                self._remember(arguments[0])
            return await getattr(self.worker, call)(*arguments)
        finally:
            self._calls -= 1
            self.asked_at = time.monotonic()
            if not self._calls:
                self._idle.set()

    async def close(self) -> None:
        """Once the calls under way have ended."""
        await self._idle.wait()
        await self.worker.close()

    def _remember(self, queries: Sequence[Query]) -> None:
        self.recent.extend(query.vector for query in queries if query.filter is None)


class OpenVersions:
    """Answers calls to versions by their number. For one event loop."""

    def __init__(self, catalog: Catalog, places: IndexPlaces) -> None:
        self._catalog = catalog
        self._places = places
        self._open: dict[int, OpenVersion] = {}
        self._opening = IdLocks()
        self._dropped: set[int] = set()

    async def ask(self, version: int, call: str, *arguments: Any, fresh: bool = False) -> Any:
        """Calls a method of `RetrieverWorker` for a version. A `fresh` read sees what other replicas acknowledged.

        Raises VersionGone, Unavailable, RetrievalError.
        """
        if call not in CALLS:
            raise ValueError(f"not a call of an index: {call}")
        found = self._open.get(version) or await self.opened(version)
        if fresh and call in READS:
            await found.worker.catch_up()
        answer = await found.ask(call, *arguments)
        if any(isinstance(error, IndexFault) for error in _errors(answer)):
            await self._require_kept(version)
        return answer

    def recent_queries(self, version: int) -> list[Vector]:
        """The vectors of the last searches of a version, oldest first."""
        found = self._open.get(version)
        return list(found.recent) if found is not None else []

    async def opened(self, id: int) -> OpenVersion:
        """Raises VersionGone, Unavailable, and what opening an index raises."""
        async with self._opening.held([str(id)]):
            if id in self._open:
                return self._open[id]
            version = await asyncio.to_thread(self._catalog.version, id)
            if version is None or id in self._dropped:
                raise VersionGone(f"version {id} was dropped")
            if version.state == "dropping" and not await self._places.exists(version):  # opening would make it anew
                raise VersionGone(f"version {id} was dropped")
            self._open[id] = OpenVersion(version, RetrieverWorker(await self._places.open(version)))
            return self._open[id]

    async def _require_kept(self, id: int) -> None:
        """Another replica may have dropped what is open here. Raises VersionGone."""
        version = await asyncio.to_thread(self._catalog.version, id)
        if version is None or version.state == "dropping":
            raise VersionGone(f"version {id} was dropped")

    async def drop(self, version: Version) -> None:
        """Closes the index and deletes what it keeps. Raises IndexUnavailable; it may be done again."""
        async with self._opening.held([str(version.id)]):
            self._dropped.add(version.id)
            await self._close(version.id)
            await self._places.delete(version)

    async def close_unused(self) -> None:
        """Closes what was dropped through another replica, and what is not live and was not asked for lately."""
        if not self._open:
            return
        states = await asyncio.to_thread(self._catalog.states)
        for id, found in list(self._open.items()):
            is_idle = time.monotonic() - found.asked_at > IDLE_S
            if id not in states or (states[id] in ("ready", "retired") and is_idle):
                async with self._opening.held([str(id)]):
                    await self._close(id)

    async def report(self, live: Mapping[int, str], on_index: OnIndex) -> None:
        """Tells of the live versions that are open here; `live` has their collections."""
        for id, collection in live.items():
            if (found := self._open.get(id)) is not None:
                try:
                    health: IndexHealth | None = await found.worker.health()
                except RetrievalError:
                    health = None
                on_index(collection, health, found.worker.breaker_open)

    async def faults(self) -> list[str]:
        """What is wrong with open indexes."""
        faults = []
        for open_version in list(self._open.values()):
            try:
                health = await open_version.worker.health()
            except IndexUnavailable:  # a server is away: a new replica would not find it either
                continue
            except RetrievalError as error:
                faults.append(f"version {open_version.version.id}: {error}")
            else:
                if not health.ready:
                    faults.append(f"version {open_version.version.id} is not ready: {health.detail}")
        return faults

    async def close(self) -> None:
        for id in list(self._open):
            await self._close(id)

    async def _close(self, id: int) -> None:
        if (found := self._open.pop(id, None)) is not None:
            await found.close()


def _errors(answer: Any) -> Iterator[Exception]:
    """Of an Answer, or of a list of them."""
    for one in answer if isinstance(answer, list) else [answer]:
        if isinstance(one, Answer) and one.error is not None:
            yield one.error
