"""One build: the walk, the journal, the check and the swap (`deployments.catalog` says why in this order)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from deployments.catalog.builds import BuildLost, Builds
from deployments.catalog.catalog import Catalog
from deployments.catalog.loose_files import LooseFiles
from deployments.catalog.versions import ANNOUNCE_S, SWAP_S, VIEW_S, Report, Version
from deployments.errors import CrossrayError
from deployments.ports import IndexPort
from deployments.reindex.copying import Copier, may_pass
from deployments.reindex.exact import Probe, agreement, measure_recall
from deployments.reindex.vectors import VectorSource
from encoders import EncoderError
from retrieval import Record, RetrievalError

T = TypeVar("T")
PAGE = 64
BEAT_S = 0.5
SWAPS = 10
"""Times that writers are asked to wait before the build gives up."""
SHOWN_FAILURES = 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
log = logging.getLogger(__name__)


class Build:
    """Makes one version what the live one is."""

    def __init__(
        self,
        catalog: Catalog,
        builds: Builds,
        version: Version,
        live: Version,
        indexes: Callable[[int], IndexPort],
        vectors: VectorSource,
    ) -> None:
        self._catalog = catalog
        self._builds = builds
        self._version = version
        self._live_id = live.id
        self._live = indexes(live.id)
        self._target = indexes(version.id)
        self._copier = Copier(self._target, vectors, LooseFiles(catalog.database))
        self._report = Report("waiting")

    async def run(self) -> None:
        """To its end. Raises BuildLost where somebody ended it; nothing is written any more then."""
        work = asyncio.create_task(self._work())
        try:
            while not (await asyncio.wait([work], timeout=BEAT_S))[0]:
                await self._beat()
            work.result()
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _beat(self) -> None:
        try:
            await asyncio.to_thread(self._builds.note, self._version.id, self._told())
        except BuildLost:
            raise
        except (CrossrayError, RetrievalError) as error:
            log.warning("the build of version %d did not say that it lives: %s", self._version.id, error)

    async def _work(self) -> None:
        try:
            reason = await self._take_over()
        except BuildLost:
            raise
        except (CrossrayError, RetrievalError, EncoderError) as error:
            reason = f"it cannot be built: {error}"[:300]
        if reason is None:
            return
        report = replace(self._told(), phase="refused" if self._version.build.swap else "built", detail=reason)
        await self._again(asyncio.to_thread, self._builds.finish, self._version.id, report)

    async def _take_over(self) -> str | None:
        """None once the version is live, else why it is not. Raises what trying again does not help against."""
        await asyncio.sleep(ANNOUNCE_S)
        await self._walk()
        await self._prune()
        await self._catch_up()
        await self._check()
        if (reason := self._refusal()) is not None:
            return reason
        return None if await self._swap() else "writes never paused for long enough"

    async def _walk(self) -> None:
        self._note(phase="walking", total=await self._again(self._live.count))
        after = ""
        while page := await self._again(self._live.scan, after, PAGE):
            await self._again(self._copier.take, page)
            after = page[-1].id
            self._note(done=self._report.done + len(page))
            await self._drain()

    async def _prune(self) -> None:
        """What a version that was kept has and the live one has not any more."""
        self._note(phase="pruning")
        after = ""
        while page := await self._again(self._target.scan, after, PAGE):
            ids = [record.id for record in page]
            there = await self._again(self._live.get, ids)
            gone = [id for id, record in zip(ids, there, strict=True) if record is None]
            await self._again(self._copier.remove, gone)
            after = page[-1].id
            await self._drain()

    async def _catch_up(self) -> None:
        """But for the last few entries: under constant writes there is always another."""
        while await self._drain() == PAGE:
            pass

    async def _drain(self) -> int:
        """Brings over what the journal names, as it is now. How many entries there were."""
        entries = await self._again(asyncio.to_thread, self._builds.journal, self._version.id, PAGE)
        if not entries:
            return 0
        ids = list(dict.fromkeys(item for _, item in entries))
        records = await self._again(self._live.get, ids)
        gone = [id for id, record in zip(ids, records, strict=True) if record is None]
        await self._again(self._copier.remove, gone)
        await self._again(self._copier.take, [record for record in records if record is not None])
        seqs = [seq for seq, _ in entries]
        await self._again(asyncio.to_thread, self._builds.settle, self._version.id, seqs)
        return len(entries)

    async def _check(self) -> None:
        """Recall of the new vectors, and how far old and new agree, on a sample of what is stored."""
        self._note(phase="building the index")
        while await self._again(self._is_structuring):  # noqa: ASYNC110 - another process does it, and tells nobody
            await asyncio.sleep(BEAT_S)
        self._note(phase="checking")
        page = await self._again(self._probes, self._version.build.probes)
        probes = [Probe(record.vector) for record in page]
        recall = await self._again(measure_recall, self._target, probes)
        agreed = await self._again(agreement, self._live, self._target, [record.id for record in page])
        self._note(recall=recall.value, agreement=agreed, probes=len(probes))

    async def _is_structuring(self) -> bool:
        """Whether the index still makes what it searches with."""
        return "building" in (await self._target.health()).detail.split(", ")

    async def _probes(self, count: int) -> list[Record]:
        """Spread over the ids."""
        total = await self._target.count()
        step = max(1, total // max(count, 1))
        chosen: list[Record] = []
        after, at = "", 0
        while len(chosen) < count and (page := await self._target.scan(after, 500)):
            chosen += [record for place, record in enumerate(page, start=at) if place % step == 0]
            after, at = page[-1].id, at + len(page)
        return chosen[:count]

    def _refusal(self) -> str | None:
        """Why the version does not take over; None where it may."""
        asked, report = self._version.build, self._report
        if len(self._copier.failures) > asked.max_failed:
            id, reason = next(iter(self._copier.failures.items()))
            return f"{len(self._copier.failures)} items could not be encoded, the first {id}: {reason}"
        if report.recall is not None and report.recall < asked.min_recall:
            return f"recall@10 is {report.recall:.4f}, below {asked.min_recall:g}"
        return None if asked.swap else "not asked to take over"

    async def _swap(self) -> bool:
        for _ in range(SWAPS):
            await self._catch_up()
            self._note(phase="swapping")
            await self._again(asyncio.to_thread, self._builds.set_state, self._version.id, "swapping")
            deadline = time.monotonic() + SWAP_S
            while time.monotonic() < deadline:
                await self._drain()
                if len(self._copier.failures) > self._version.build.max_failed:
                    return False
                report = replace(self._told(), phase="swapped")
                done = await self._again(asyncio.to_thread, self._builds.swap, self._version.id, self._live_id, report)
                if done == "swapped":
                    return True
            await self._again(asyncio.to_thread, self._builds.set_state, self._version.id, "building")
            await asyncio.sleep(VIEW_S)
        return False

    async def _again(self, step: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Each step may be done twice, and is tried for as long as the build is not ended: where what it meets may
        pass."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                result = await step(*arguments)
            except BuildLost:
                raise
            except (CrossrayError, RetrievalError, EncoderError, OSError) as error:
                if not may_pass(error):
                    raise
                log.warning("the build of version %d waits %.1f s: %s", self._version.id, pause_s, error)
                self._note(detail=f"waiting: {error}"[:300])
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                if self._report.detail:
                    self._note(detail="")
                return result

    def _note(self, **changes: object) -> None:
        self._report = replace(self._report, **changes)  # type: ignore[arg-type]

    def _told(self) -> Report:
        shown = tuple(self._copier.failures.items())[:SHOWN_FAILURES]
        return replace(self._report, reused=self._copier.reused, failed=len(self._copier.failures), failures=shown)
