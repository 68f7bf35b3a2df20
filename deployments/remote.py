"""The ports over Serve handles: concurrent calls coalesced, and repeated when a replica is lost under them.

Serve does not retry a started request, and everything here is idempotent: encoding has no effects, and an upsert or a
delete done twice is done once.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from deployments.batch_queue import Lane
from deployments.coalescer import Coalescer
from deployments.deadline import current_deadline
from deployments.encode_calls import EncodeCalls
from deployments.encoder import EncodeOutcome, EncodeReply, EncodeTask
from deployments.errors import Overloaded, Unavailable
from deployments.load_meter import Held
from deployments.request_ids import current
from deployments.rerank import RerankReply, RerankTask
from deployments.retriever import Answer
from deployments.structurer import Structure
from retrieval import Filter, Hit, IndexHealth, Query, Record, Sample, TextQuery

T = TypeVar("T")
_Asked: TypeAlias = tuple[T, str]
"""Something of a call, and the id of the request that it is for."""

ATTEMPTS = 8
FIRST_PAUSE_S = 0.01
"""Short at first: Serve may choose a dead replica some more times before it notices, and another has it at once."""
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

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await call()
        except BackPressureError as error:
            raise Overloaded(f"the {target} is busy; try again shortly") from error
        except Exception as error:
            if not lost_replica(error):
                raise _cause(error) from None
            if attempt == ATTEMPTS:
                raise Unavailable(f"the {target} does not answer; try again shortly") from error
            on_retry(target)
            await asyncio.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
    raise AssertionError


class RemoteEncoder:
    """An EncodePort over the Encoder deployment's handle; one coalescer a lane, so that bulk never delays a search."""

    def __init__(self, handle: Any, calls: EncodeCalls, on_retry: Callable[[str], None] = lambda target: None) -> None:
        """`handle` is a Serve DeploymentHandle."""
        self._handle = handle
        self._on_retry = on_retry
        self._name = uuid.uuid4().hex[:8]
        self._replicas: dict[str, float] = {}

        def lane(calls_to_each: int, most_held: int = sys.maxsize) -> Coalescer[EncodeTask, EncodeOutcome]:
            return Coalescer(
                self._call,
                max_items=calls.items,
                size_bytes=_input_bytes,
                width=self._width,
                most_calls=lambda: calls_to_each * self._width(),
                most_held=most_held,
            )

        self._lanes: dict[Lane, Coalescer[EncodeTask, EncodeOutcome]] = {
            "interactive": lane(calls.interactive, calls.held),
            "bulk": lane(calls.bulk),
        }

    async def encode(self, tasks: Sequence[EncodeTask]) -> list[EncodeOutcome]:
        """Raises Overloaded where too much is held back already, then nothing of it is sent, and DeadlineExceeded."""
        deadline = current_deadline()
        tasks = [replace(task, deadline=deadline) for task in tasks]
        if len({task.lane for task in tasks}) == 1:
            outcomes = await self._lanes[tasks[0].lane].many(tasks)
        else:
            outcomes = list(await asyncio.gather(*(self._lanes[task.lane](task) for task in tasks)))
        for outcome in outcomes:
            if outcome.is_dropped:
                outcome.unwrap()
        return outcomes

    def _width(self) -> int:
        """How many replicas answered lately; at least one."""
        return max(len(self._replicas), 1)

    async def _call(self, tasks: list[EncodeTask]) -> list[EncodeOutcome]:
        def send() -> Any:
            held = {lane: coalescer.held() for lane, coalescer in self._lanes.items()}
            return self._handle.encode.remote(tasks, Held(self._name, time.time(), **held))

        reply: EncodeReply = await call_again(send, "encoder", self._on_retry)
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
    """An IndexPort over the Retriever deployment's handle, for one version of a collection."""

    def __init__(
        self,
        handle: Any,
        version: int,
        *,
        max_items: int = 64,
        fresh: bool = False,
        on_retry: Callable[[str], None] = lambda target: None,
    ) -> None:
        """`handle` is a Serve DeploymentHandle. Calls raise VersionGone once the version was dropped.

        With `fresh`, get, scan and count see what was acknowledged by any replica before; over a Milvus server each
        takes some 200 ms then.
        """
        self._handle = handle
        self._version = version
        self._fresh = fresh
        self._on_retry = on_retry
        self._search: Coalescer[_Asked[Query], Answer[list[Hit]]] = self._coalesced("search", max_items)
        self._search_text: Coalescer[_Asked[TextQuery], Answer[list[Hit]]] = self._coalesced("search_text", max_items)
        self._upsert: Coalescer[_Asked[Sequence[Record]], Answer[None]] = self._coalesced("upsert", max_items)
        self._get: Coalescer[_Asked[str], Answer[Record | None]] = self._coalesced("get", max_items)
        self._get_latest: Coalescer[_Asked[str], Answer[Record | None]] = self._coalesced("get", max_items, fresh=True)

    async def search(self, query: Query) -> list[Hit]:
        answer = await self._search((query, current()))
        if answer.is_deferred:
            answer = await self._ask("search_alone", query)
        return answer.unwrap()

    async def search_text(self, query: TextQuery) -> list[Hit]:
        return (await self._search_text((query, current()))).unwrap()

    async def upsert(self, records: Sequence[Record]) -> None:
        (await self._upsert((records, current()))).unwrap()

    async def set_ocr(self, id: str, media: str, text: str) -> bool:
        return (await self._ask("set_ocr", id, media, text)).unwrap()  # type: ignore[no-any-return]

    async def get(self, ids: Sequence[str], *, latest: bool = False) -> list[Record | None]:
        request_id, get = current(), self._get_latest if latest else self._get
        return [answer.unwrap() for answer in await get.many([(id, request_id) for id in ids])]

    async def confirm(self, ids: Sequence[str]) -> None:
        """The version's own rows are on disk; whether it is the one to answer for is known to JournaledIndex."""

    async def delete(self, ids: Sequence[str]) -> int:
        return (await self._ask("delete", list(ids))).unwrap()  # type: ignore[no-any-return]

    async def scan(self, after: str, limit: int) -> list[Record]:
        return (await self._ask("scan", after, limit)).unwrap()  # type: ignore[no-any-return]

    async def count(self, filter: Filter | None = None) -> int:
        return (await self._ask("count", filter)).unwrap()  # type: ignore[no-any-return]

    async def sample(self, limit: int) -> Sample:
        return (await self._ask("sample", limit)).unwrap()  # type: ignore[no-any-return]

    async def health(self) -> IndexHealth:
        return await self._ask("health")  # type: ignore[no-any-return]

    def _coalesced(self, call: str, max_items: int, *, fresh: bool = False) -> Coalescer[_Asked[Any], Any]:
        async def ask(batch: list[_Asked[Any]]) -> Any:
            ids = tuple({request_id for _, request_id in batch})
            return await self._ask(call, [item for item, _ in batch], fresh=fresh, request_ids=ids)

        return Coalescer(ask, max_items=max_items)

    async def _ask(
        self, call: str, *arguments: Any, fresh: bool = False, request_ids: tuple[str, ...] | None = None
    ) -> Any:
        """`request_ids` are those whose items were coalesced; without them it is for the current one."""
        options = {"fresh": fresh or self._fresh, "request_ids": request_ids or (current(),)}
        return await call_again(
            lambda: self._handle.ask.remote(self._version, call, *arguments, **options, deadline=current_deadline()),
            "index",
            self._on_retry,
        )
