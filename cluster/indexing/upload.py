"""Rows to a server over HTTP: hash, ask what exists, upload the rest with bounded concurrency.

An item's id is the hash of its content, so a run that was cut off is simply run again: what arrived is skipped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from cluster.client import Client
from cluster.errors import ApiError, ClusterError
from cluster.indexing.ledger import Ledger, Work, Written
from cluster.indexing.report import Failure, IndexReport
from cluster.indexing.rows import Row
from cluster.terms import Scalar
from deployments.content import content_id

LOOKUP_BATCH = 256
LOOKUP_BYTES = 16 << 20
"""Rows wait in memory while the server is asked which of them it has."""
DEFAULT_CONCURRENCY = 16
"""About twice the encoder's batch: one batch on the device, one waiting."""
MAX_SOURCE_CHARS = 2048
ITEM_STATUSES = frozenset({400, 413, 415, 422, 500})
"""Statuses that speak of one item. Any other means that no further upload can succeed either."""


class Indexer:
    """One run. The ledger's report is true at any moment, so that a run cut off can still say what it did."""

    def __init__(
        self,
        client: Client,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Scalar] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        ledger: Ledger | None = None,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._tags = tuple(tags)
        self._metadata = dict(metadata or {})
        self._concurrency = concurrency
        self._ledger = ledger or Ledger(advance=advance)
        self._in_flight: set[str] = set()
        self._fatal: BaseException | None = None

    @property
    def report(self) -> IndexReport:
        return self._ledger.report

    def run(self, work: Iterable[Work]) -> IndexReport:
        """Store them all. Raises ServerUnreachable or ApiError when no further upload can succeed."""
        started = time.monotonic()
        slots = threading.Semaphore(self._concurrency)
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="upload")
        try:
            for item_id, one in self._missing(work):
                slots.acquire()
                if self._fatal is not None:
                    break
                self._in_flight.add(item_id)
                future = pool.submit(self._upload, item_id, one)
                future.add_done_callback(self._note_crash)
                future.add_done_callback(lambda _: slots.release())
            pool.shutdown(wait=True)
        finally:
            # After Ctrl-C nothing new starts; what is in flight ends or is dropped when the client closes.
            pool.shutdown(wait=False, cancel_futures=True)
            self.report.seconds = time.monotonic() - started
        if self._fatal is not None:
            raise self._fatal
        return self.report

    def _missing(self, work: Iterable[Work]) -> Iterator[tuple[str, Work]]:
        """What the server does not have and nobody here is sending. Rows with an id of their own always go: the same
        id may hold another content by now."""
        for batch in _batches(work):
            fresh: dict[str, Work] = {}
            for one in batch:
                if one.row.id is not None:
                    yield one.row.id, one
                    continue
                item_id = content_id(one.row.image, one.row.text)
                if item_id in fresh or item_id in self._in_flight:
                    self._ledger.settle(one.key, Written("skipped", item_id))
                else:
                    fresh[item_id] = one
            existing = set(self._client.lookup(list(fresh)).existing) if fresh else set()
            for item_id, one in fresh.items():
                if item_id in existing:
                    self._ledger.settle(one.key, Written("skipped", item_id))
                else:
                    yield item_id, one

    def _upload(self, item_id: str, one: Work) -> None:
        try:
            stored = self._store(one.row)
        except ApiError as error:
            if error.status in ITEM_STATUSES:
                self._ledger.settle(one.key, Failure(one.row.name, error.message))
            else:
                self._fatal = error
        except ClusterError as error:
            self._fatal = error
        else:
            self._ledger.settle(one.key, Written("indexed" if stored.created else "skipped", stored.id))
        finally:
            self._in_flight.discard(item_id)

    def _store(self, row: Row) -> Any:
        fields = item_fields(row, self._tags, self._metadata)
        if row.image is None:
            return self._client.store(fields)
        form = {**fields, "metadata": json.dumps(fields["metadata"], ensure_ascii=False)}
        return self._client.store(form, image=row.image)

    def _note_crash(self, future: Future[None]) -> None:
        if not future.cancelled() and (crash := future.exception()) is not None:
            self._fatal = crash


def item_fields(row: Row, tags: Sequence[str], metadata: Mapping[str, Scalar]) -> dict[str, Any]:
    """A row as the body of `POST /v1/items`, less its image. `tags` and `metadata` are those of all rows."""
    fields: dict[str, Any] = {
        "source": (row.source if row.source is not None else row.name)[-MAX_SOURCE_CHARS:],
        "tags": [*dict.fromkeys((*tags, *row.tags))],
        "metadata": {**metadata, **row.metadata},
    }
    if row.text is not None:
        fields["text"] = row.text
    return fields if row.id is None else {**fields, "id": row.id}


def _batches(work: Iterable[Work]) -> Iterator[list[Work]]:
    batch: list[Work] = []
    size = 0
    for one in work:
        batch.append(one)
        size += one.row.size_bytes
        if len(batch) == LOOKUP_BATCH or size >= LOOKUP_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
