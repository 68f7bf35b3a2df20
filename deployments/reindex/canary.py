"""The canary: what the live versions find of what is really nearest, measured again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from deployments.catalog.catalog import Catalog
from deployments.catalog.versions import Canary, Version
from deployments.errors import CrossrayError
from deployments.ports import IndexPort
from deployments.reindex.exact import Probe, measure_recall
from retrieval import RetrievalError, Vector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CanaryLimits:
    """How often every live version is looked at, and what a look may cost."""

    interval_s: float = 60.0
    """0 for never."""
    queries: int = 16
    rows_per_s: float = 5_000.0
    """Of the exact search: it reads every row."""


class CanaryWatch:
    """Searches for vectors that were searched for lately, and for stored ones, in the index and exactly."""

    def __init__(
        self,
        catalog: Catalog,
        limits: CanaryLimits,
        index: Callable[[int], IndexPort],
        recent: Callable[[int], Awaitable[list[Vector]]],
        on_recall: Callable[[str, float], None] = lambda collection, recall: None,
    ) -> None:
        """`recent` answers the vectors of a version's last searches; `on_recall` hears of each look."""
        self._catalog = catalog
        self._limits = limits
        self._index = index
        self._recent = recent
        self._on_recall = on_recall

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._limits.interval_s)
            try:
                for collection in (await asyncio.to_thread(self._catalog.collections)).values():
                    await self.look(collection.live)
            except (CrossrayError, RetrievalError) as error:
                log.warning("the canary did not finish its round: %s", error)

    async def look(self, version: Version) -> Canary | None:
        """One measurement, which the catalog keeps. None where there is nothing to measure."""
        began, index = time.monotonic(), self._index(version.id)
        asked = (await self._recent(version.id))[-self._limits.queries // 2 :]
        stored = await index.sample(self._limits.queries - len(asked))
        probes = [Probe(vector, is_stored=False) for vector in asked] + [Probe(vector) for vector in stored.vectors]
        recall = await measure_recall(index, probes, rows_per_s=self._limits.rows_per_s)
        if recall.value is None:
            return None
        seconds = round(time.monotonic() - began, 3)
        canary = Canary(round(recall.value, 4), len(probes), recall.rows, seconds, time.time())
        await asyncio.to_thread(self._catalog.set_canary, version.id, canary)
        self._on_recall(version.collection, canary.recall)
        return canary
