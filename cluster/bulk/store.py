"""Rows into an ItemService: what `POST /v1/items` does for each, without the HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from cluster.indexing.ledger import Outcome, Work, Written
from cluster.indexing.report import Failure
from cluster.indexing.rows import Row
from cluster.indexing.upload import ITEM_STATUSES, item_fields
from cluster.terms import Scalar
from deployments.bodies import parse_object
from deployments.catalog.versions import DEFAULT
from deployments.content import content_id
from deployments.errors import INTERNAL, status_of
from deployments.items import ItemService, Stored
from deployments.resolving import LiveItems
from deployments.schemas.items import Item
from deployments.stages import Stages

AGAIN_STATUSES = frozenset({429, 503, 504})
"""Statuses of a cluster that is busy, or has lost a replica and gets another."""
PATIENCE_S = 120.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
log = logging.getLogger(__name__)


class RowStore:
    """Writes batches of rows; batches may overlap, `concurrency` rows are under way at once."""

    def __init__(
        self,
        items: ItemService | LiveItems,
        tags: Sequence[str],
        metadata: Mapping[str, Scalar],
        *,
        concurrency: int,
        collection: str = DEFAULT,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._items = items
        self._tags = tags
        self._metadata = metadata
        self._collection = collection
        self._slots = asyncio.Semaphore(concurrency)
        self._patience_s = patience_s

    async def write(self, work: Sequence[Work]) -> list[Outcome]:
        """One outcome a row, in order. Raises what means that no further row can be written either."""
        ids = [one.row.id or content_id(one.row.image, one.row.text) for one in work]
        asked = [id for id, one in zip(ids, work, strict=True) if one.row.id is None]
        existing = set(await self._items.existing(asked)) if asked else set()

        async def settle(id: str, row: Row) -> Outcome:
            if row.id is None and id in existing:
                return Written("skipped", id)
            async with self._slots:
                return await self._add(row)

        return list(await asyncio.gather(*(settle(id, one.row) for id, one in zip(ids, work, strict=True))))

    async def _add(self, row: Row) -> Outcome:
        deadline = time.monotonic() + self._patience_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return _outcome(await self._items.add(self._item(row), Stages()))
            except Exception as error:
                status = status_of(error)
                if status.status in AGAIN_STATUSES and time.monotonic() < deadline:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)
                    continue
                if status.status not in ITEM_STATUSES:
                    raise
                if status is INTERNAL:
                    log.exception("storing %s failed", row.name)
                return Failure(row.name, str(error))

    def _item(self, row: Row) -> Item:
        fields = item_fields(row, self._tags, self._metadata) | {"collection": self._collection}
        return parse_object(Item, fields if row.image is None else fields | {"image": row.image})


def _outcome(stored: Stored) -> Written:
    return Written("indexed" if stored.outcome == "created" else "skipped", stored.record.id)
