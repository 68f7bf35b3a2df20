"""The indexing loop: hash, ask what exists, upload the rest with bounded concurrency.

An item's id is the hash of its content, so a run that was cut off is simply run again: what arrived is skipped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cluster.client import Client
from cluster.errors import ApiError, ClusterError
from cluster.indexing.sources import Source, UnreadableSource
from cluster.terms import Scalar
from deployments.content import content_id

LOOKUP_BATCH = 256
DEFAULT_CONCURRENCY = 16
"""About twice the encoder's batch: one batch on the device, one waiting."""
ITEM_STATUSES = frozenset({400, 413, 415, 422, 500})
"""Statuses that speak of one item. Any other means that no further upload can succeed either."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that was not indexed, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """What a run did. `skipped` were there already, or came twice."""

    indexed: int = 0
    skipped: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return self.indexed + self.skipped + len(self.failed)

    @property
    def per_second(self) -> float:
        """Items handled a second, skipped ones included."""
        return self.total / self.seconds if self.seconds > 0 else 0.0


class Indexer:
    """One run. `report` is true at any moment, so that a run cut off can still say what it did."""

    def __init__(
        self,
        client: Client,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Scalar] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.report = IndexReport()
        self._client = client
        self._tags = tuple(tags)
        self._metadata = dict(metadata or {})
        self._concurrency = concurrency
        self._advance = advance
        self._lock = threading.Lock()
        self._fatal: BaseException | None = None

    def run(self, sources: Sequence[Source]) -> IndexReport:
        """Index them all. Raises ServerUnreachable or ApiError when no further upload can succeed."""
        started = time.monotonic()
        slots = threading.Semaphore(self._concurrency)
        pool = ThreadPoolExecutor(self._concurrency, thread_name_prefix="upload")
        try:
            for source in self._missing(sources):
                slots.acquire()
                if self._fatal is not None:
                    break
                future = pool.submit(self._upload, source)
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

    def _missing(self, sources: Sequence[Source]) -> Iterator[Source]:
        """The readable sources whose content the server does not have and this run has not seen."""
        seen: set[str] = set()
        pending = iter(sources)
        while batch := list(islice(pending, LOOKUP_BATCH)):
            fresh: dict[str, Source] = {}
            for source in batch:
                item_id = self._hash(source)
                if item_id is None:
                    continue
                if item_id in seen:
                    self._count(skipped=1)
                    continue
                seen.add(item_id)
                fresh[item_id] = source
            existing = set(self._client.lookup(list(fresh)).existing) if fresh else set()
            self._count(skipped=len(existing))
            yield from (source for item_id, source in fresh.items() if item_id not in existing)

    def _hash(self, source: Source) -> str | None:
        try:
            content = source.read()
        except UnreadableSource as error:
            self._count(failure=Failure(source.name, str(error)))
            return None
        return content_id(content.image, content.text)

    def _upload(self, source: Source) -> None:
        try:
            content = source.read()
            fields = self._fields(source)
            if content.image is None:
                stored = self._client.store({"text": content.text, **fields})
            else:
                form = {**fields, "metadata": json.dumps(fields["metadata"], ensure_ascii=False)}
                stored = self._client.store(form, image=content.image)
        except UnreadableSource as error:
            self._count(failure=Failure(source.name, str(error)))
        except ApiError as error:
            if error.status in ITEM_STATUSES:
                self._count(failure=Failure(source.name, error.message))
            else:
                self._fatal = error
        except ClusterError as error:
            self._fatal = error
        else:
            self._count(indexed=int(stored.created), skipped=int(not stored.created))

    def _note_crash(self, future: Future[None]) -> None:
        if not future.cancelled() and (crash := future.exception()) is not None:
            self._fatal = crash

    def _fields(self, source: Source) -> dict[str, Any]:
        return {
            "source": source.name[-2048:],
            "tags": [*dict.fromkeys((*self._tags, *source.tags))],
            "metadata": {**self._metadata, **source.metadata},
        }

    def _count(self, *, indexed: int = 0, skipped: int = 0, failure: Failure | None = None) -> None:
        with self._lock:
            self.report.indexed += indexed
            self.report.skipped += skipped
            if failure is not None:
                self.report.failed.append(failure)
        self._advance(indexed + skipped + (failure is not None))
