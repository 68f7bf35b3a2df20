"""The ports over Serve handles: concurrent calls coalesced, and repeated when a replica is lost under them.

Serve does not retry a started request, and everything here is idempotent: encoding has no effects, and an upsert or a
delete done twice is done once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from deployments.coalescer import Coalescer
from deployments.encoder import EncodeOutcome, EncodeReply, EncodeTask
from deployments.errors import Overloaded, Unavailable
from deployments.rerank import RerankReply, RerankTask
from deployments.retriever import Answer
from deployments.structurer import Structure
from retrieval import Filter, Hit, IndexHealth, Query, Record, TextQuery

T = TypeVar("T")

ATTEMPTS = 5
FIRST_PAUSE_S = 0.05
REPLICA_SEEN_S = 30.0


def lost_replica(error: BaseException) -> bool:
    """Whether the call failed because of where it ran, not because of what it asked."""
    import grpc
    from ray.exceptions import RayActorError, RayTaskError, WorkerCrashedError
    from ray.serve.exceptions import DeploymentUnavailableError, ReplicaUnavailableError

    if isinstance(error, RayTaskError):
        return False
    if isinstance(error, grpc.RpcError):
        code = getattr(error, "code", lambda: None)()
        return code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL)
    lost = (RayActorError, WorkerCrashedError, DeploymentUnavailableError, ReplicaUnavailableError)
    return isinstance(error, lost)


def _cause(error: Exception) -> Exception:
    """What the replica raised: Ray's wrapper is of the same class, but its text is a stack trace."""
    from ray.exceptions import RayTaskError

    cause = error.cause if isinstance(error, RayTaskError) else None
    return cause if isinstance(cause, Exception) else error


async def call_again(call: Callable[[], Awaitable[T]], target: str, on_retry: Callable[[str], None]) -> T:
    """Await `call()`, again with growing pauses while replicas are lost under it. Raises Unavailable in the end."""
    from ray.serve.exceptions import BackPressureError

    for attempt in range(ATTEMPTS):
        try:
            return await call()
        except BackPressureError as error:
            raise Overloaded(f"the {target} is busy; try again shortly") from error
        except Exception as error:
            if not lost_replica(error):
                raise _cause(error) from None
            last = error
            on_retry(target)
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
    raise Unavailable(f"the {target} does not answer; try again shortly") from last


class RemoteEncoder:
    """An EncodePort over the Encoder deployment's handle; one coalescer a lane, so that bulk never delays a search."""

    def __init__(
        self,
        handle: Any,
        *,
        max_items: int,
        bulk_calls: int,
        on_retry: Callable[[str], None] = lambda target: None,
    ) -> None:
        """`handle` is a Serve DeploymentHandle. `bulk_calls` a replica is what bulk work may have under way."""
        self._handle = handle
        self._on_retry = on_retry
        self._replicas: dict[str, float] = {}
        options: dict[str, Any] = {"max_items": max_items, "size_bytes": _input_bytes}
        self._lanes: dict[str, Coalescer[EncodeTask, EncodeOutcome]] = {
            "interactive": Coalescer(self._call, width=self._width, **options),
            "bulk": Coalescer(self._call, width=self._width, most_calls=lambda: bulk_calls * self._width(), **options),
        }

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        if len({task.lane for task in tasks}) == 1:
            return await self._lanes[tasks[0].lane].many(tasks)
        return list(await asyncio.gather(*(self._lanes[task.lane](task) for task in tasks)))

    def _width(self) -> int:
        """How many replicas answered lately; at least one."""
        return max(len(self._replicas), 1)

    async def _call(self, tasks: list[EncodeTask]) -> list[EncodeOutcome]:
        reply: EncodeReply = await call_again(lambda: self._handle.encode.remote(tasks), "encoder", self._on_retry)
        now = time.monotonic()
        self._replicas[reply.replica] = now
        self._replicas = {name: seen for name, seen in self._replicas.items() if now - seen < REPLICA_SEEN_S}
        return reply.outcomes


def _input_bytes(task: EncodeTask) -> int:
    """At most what the input takes in a message: a character is up to four bytes."""
    return len(task.input.image or b"") + 4 * len(task.input.text or "")


class RemoteReranker:
    """A RerankPort over the Reranker deployment's handle. Where none runs, a call waits until one was started."""

    def __init__(
        self, handle: Any, names: frozenset[str], on_retry: Callable[[str], None] = lambda target: None
    ) -> None:
        """`handle` is a Serve DeploymentHandle; `names` what its model goes by."""
        self._handle = handle
        self._on_retry = on_retry
        self.names = names

    async def rerank(self, task: RerankTask) -> RerankReply:
        reply: RerankReply = await call_again(lambda: self._handle.rerank.remote(task), "reranker", self._on_retry)
        return reply


class RemoteStructurer:
    """A StructurePort over the QueryStructurer deployment's handle. Where none runs, a call waits until one does."""

    def __init__(self, handle: Any, on_retry: Callable[[str], None] = lambda target: None) -> None:
        """`handle` is a Serve DeploymentHandle."""
        self._handle = handle
        self._on_retry = on_retry

    async def structure(self, query: str) -> Structure:
        answer: Structure = await call_again(
            lambda: self._handle.structure.remote(query), "query structurer", self._on_retry
        )
        return answer


class RemoteIndex:
    """An IndexPort over the Retriever deployment's handle."""

    def __init__(
        self, handle: Any, *, max_items: int = 64, on_retry: Callable[[str], None] = lambda target: None
    ) -> None:
        """`handle` is a Serve DeploymentHandle."""
        self._handle = handle
        self._on_retry = on_retry
        self._search: Coalescer[Query, Answer[list[Hit]]] = Coalescer(
            lambda batch: self._ask(lambda: handle.search.remote(batch)), max_items=max_items
        )
        self._search_text: Coalescer[TextQuery, Answer[list[Hit]]] = Coalescer(
            lambda batch: self._ask(lambda: handle.search_text.remote(batch)), max_items=max_items
        )
        self._upsert: Coalescer[Sequence[Record], Answer[None]] = Coalescer(
            lambda batch: self._ask(lambda: handle.upsert.remote(batch)), max_items=max_items
        )
        self._get: Coalescer[str, Answer[Record | None]] = Coalescer(
            lambda batch: self._ask(lambda: handle.get.remote(batch)), max_items=max_items
        )

    async def search(self, query: Query) -> list[Hit]:
        answer = await self._search(query)
        if answer.is_deferred:
            answer = await self._ask(lambda: self._handle.search_alone.remote(query))
        return answer.unwrap()

    async def search_text(self, query: TextQuery) -> list[Hit]:
        return (await self._search_text(query)).unwrap()

    async def upsert(self, records: Sequence[Record]) -> None:
        (await self._upsert(records)).unwrap()

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        return (await self._ask(lambda: self._handle.set_ocr.remote(id, media, text))).unwrap()  # type: ignore[no-any-return]

    async def get(self, ids: Sequence[str]) -> list[Record | None]:
        return [answer.unwrap() for answer in await self._get.many(ids)]

    async def delete(self, ids: Sequence[str]) -> int:
        return (await self._ask(lambda: self._handle.delete.remote(list(ids)))).unwrap()  # type: ignore[no-any-return]

    async def scan(self, after: str, limit: int) -> list[Record]:
        return (await self._ask(lambda: self._handle.scan.remote(after, limit))).unwrap()  # type: ignore[no-any-return]

    async def count(self, filter: Filter | None = None) -> int:
        return (await self._ask(lambda: self._handle.count.remote(filter))).unwrap()  # type: ignore[no-any-return]

    async def health(self) -> IndexHealth:
        return await self._ask(lambda: self._handle.health.remote())  # type: ignore[no-any-return]

    async def _ask(self, call: Callable[[], Awaitable[Any]]) -> Any:
        return await call_again(call, "index", self._on_retry)
