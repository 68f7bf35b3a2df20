"""The client for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import anyio
import httpx

from crossray_client import calls
from crossray_client.answers import Item, ItemPage
from crossray_client.attempts import Pause
from crossray_client.calls import Call
from crossray_client.connection import Connection, answered
from crossray_client.errors import Answered, NoAnswer

T = TypeVar("T")
P = ParamSpec("P")


def _method(call: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    """The call as a method, with its arguments and its description."""

    @wraps(call)
    async def send(client: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.send(call(*args, **kwargs))

    return send


class AsyncClient(Connection[httpx.AsyncBaseTransport]):
    """One server. Each method raises ClientError's kinds (`crossray_client.errors` shows them all).

    An image given by its path is read on the event loop, 64 KiB at a time.
    """

    _http: httpx.AsyncClient

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

    async def pages(self, *, limit: int = 100, vectors: bool = False) -> AsyncIterator[ItemPage]:
        """All items by id, a page at a time. What is stored or deleted meanwhile may be in it or not."""
        after: str | None = ""
        while after is not None:
            page = await self.page(after, limit=limit, vectors=vectors)
            yield page
            after = page.next

    async def items(self, *, limit: int = 100, vectors: bool = False) -> AsyncIterator[Item]:
        """All items by id, fetched `limit` at a time."""
        async for page in self.pages(limit=limit, vectors=vectors):
            for item in page.items:
                yield item

    async def send(self, call: Call[T]) -> T:
        """Any call, one of your own too: sent, and sent again as the retry policy has it."""
        attempts = self._attempts(call)
        while isinstance(step := attempts.after(await self._outcome(call)), Pause):  # noqa: ASYNC110 - a pause, no polling
            await anyio.sleep(step.seconds)
        return step.result

    async def _outcome(self, call: Call[Any]) -> Answered | NoAnswer:
        try:
            with self._attempt(call) as request:
                return answered(await self._http.request(**request))
        except NoAnswer as failed:
            return failed

    def _open(self, options: dict[str, Any]) -> None:
        self._http = httpx.AsyncClient(**options)

    @property
    def is_closed(self) -> bool:
        return self._http.is_closed

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
