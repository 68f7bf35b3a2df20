"""The client for programs that wait. Threads may share one; closing it wakes those that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from crossray_client import calls
from crossray_client.answers import Item, ItemPage, Job, Version
from crossray_client.attempts import Pause
from crossray_client.calls import Call
from crossray_client.connection import Connection, answered
from crossray_client.errors import Answered, NoAnswer, NotFound

T = TypeVar("T")
P = ParamSpec("P")


def _method(call: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """The call as a method, with its arguments and its description."""

    @wraps(call)
    def send(client: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.send(call(*args, **kwargs))

    return send


class Client(Connection[httpx.BaseTransport]):
    """One server. Each method raises ClientError's kinds (`crossray_client.errors` shows them all)."""

    _http: httpx.Client

    search = _method(calls.search)
    store = _method(calls.store)
    store_batch = _method(calls.store_batch)
    get = _method(calls.get)
    page = _method(calls.page)
    delete = _method(calls.delete)
    image = _method(calls.image)
    thumbnail = _method(calls.thumbnail)
    lookup = _method(calls.lookup)
    embed = _method(calls.embed)
    match = _method(calls.match)
    rerank = _method(calls.rerank)
    create_job = _method(calls.create_job)
    upload_job = _method(calls.upload_job)
    jobs = _method(calls.jobs)
    job = _method(calls.job)
    job_items = _method(calls.job_items)
    retry_job = _method(calls.retry_job)
    cancel_job = _method(calls.cancel_job)
    collections = _method(calls.collections)
    collection = _method(calls.collection)
    create_collection = _method(calls.create_collection)
    delete_collection = _method(calls.delete_collection)
    reindex = _method(calls.reindex)
    promote = _method(calls.promote)
    drop_version = _method(calls.drop_version)
    models = _method(calls.models)
    status = _method(calls.status)
    health = _method(calls.health)
    alive = _method(calls.alive)

    def pages(self, *, limit: int = 100, vectors: bool = False, collection: str | None = None) -> Iterator[ItemPage]:
        """All items of a collection by id, a page at a time. What is stored or deleted meanwhile may be missing."""
        after: str | None = ""
        while after is not None:
            page = self.page(after, limit=limit, vectors=vectors, collection=collection)
            yield page
            after = page.next

    def items(self, *, limit: int = 100, vectors: bool = False, collection: str | None = None) -> Iterator[Item]:
        """All items of a collection by id, fetched `limit` at a time."""
        for page in self.pages(limit=limit, vectors=vectors, collection=collection):
            yield from page.items

    def all_jobs(self, *, limit: int = 20) -> Iterator[Job]:
        """All jobs, the latest first, fetched `limit` at a time."""
        before: str | None = None
        while True:
            page = self.jobs(before, limit=limit)
            yield from page.jobs
            if (before := page.next) is None:
                return

    def wait_for_job(self, id: str, *, every_s: float = 1.0, on_progress: Callable[[Job], None] | None = None) -> Job:
        """The job once it has ended, looked at every so often; `on_progress` hears of each look. Raises NotFound."""
        while True:
            job = self.job(id)
            if on_progress is not None:
                on_progress(job)
            if job.has_ended:
                return job
            self._closed.wait(every_s)

    def wait_for_version(
        self, name: str, id: int, *, every_s: float = 1.0, on_progress: Callable[[Version], None] | None = None
    ) -> Version:
        """The version once its build has ended, looked at every so often; `on_progress` hears of each look. It may have
        been left ready, not live: `build.detail` says why. Raises NotFound where the build was ended by somebody."""
        while True:
            version = self.collection(name).version(id)
            if version is None or version.state == "dropping":
                raise NotFound(404, "version_not_found", f"{name} has no version {id}: its build was ended", "version")
            if on_progress is not None:
                on_progress(version)
            if not version.is_under_way:
                return version
            self._closed.wait(every_s)

    def send(self, call: Call[T]) -> T:
        """Any call, one of your own too: sent, and sent again as the retry policy has it."""
        attempts = self._attempts(call)
        while isinstance(step := attempts.after(self._outcome(call)), Pause):
            self._closed.wait(step.seconds)
        return step.result

    def _outcome(self, call: Call[Any]) -> Answered | NoAnswer:
        try:
            with self._attempt(call) as request:
                return answered(self._http.request(**request))
        except NoAnswer as failed:
            return failed

    def _open(self, options: dict[str, Any]) -> None:
        self._http = httpx.Client(**options)
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        return self._closed.is_set()

    def close(self) -> None:
        """Wakes whoever waits for another attempt, and closes the connections."""
        self._closed.set()
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
