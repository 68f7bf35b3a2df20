"""The client for programs that wait. Threads may share one; closing it wakes those that wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from crossray_client import calls
from crossray_client.answers import Item, ItemPage
from crossray_client.attempts import Pause
from crossray_client.calls import Call
from crossray_client.connection import Connection, answered
from crossray_client.errors import Answered, NoAnswer

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
    models = _method(calls.models)
    health = _method(calls.health)

    def pages(self, *, limit: int = 100, vectors: bool = False) -> Iterator[ItemPage]:
        """All items by id, a page at a time. What is stored or deleted meanwhile may be in it or not."""
        after: str | None = ""
        while after is not None:
            page = self.page(after, limit=limit, vectors=vectors)
            yield page
            after = page.next

    def items(self, *, limit: int = 100, vectors: bool = False) -> Iterator[Item]:
        """All items by id, fetched `limit` at a time."""
        for page in self.pages(limit=limit, vectors=vectors):
            yield from page.items

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
