"""Many concurrent calls into few: what Serve costs is paid a handle call, so a call should carry a batch.

An item is sent at once when fewer calls are under way than there are replicas, with all that the event loop brings in
the same round: a batch that returns wakes its callers together, and what they ask for next is to travel together, not
the first one's before the others'. Otherwise the devices are busy anyway, and it waits until a call returns or, where
that is allowed, a whole batch has gathered. This module does not know Ray.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from deployments.deadline import Deadline, current_deadline, latest, too_late, until
from deployments.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """Gathers items of concurrent callers, on one event loop, into calls of at most `max_items` items and `max_bytes`
    bytes.

    `call` answers one result an item, in order. What it raises reaches every item of that call.
    `width` says how many calls may be under way before items start to gather: the number of replicas. A whole batch
    goes beyond it, to wait at the device, while fewer than `most_calls` are under way: what is bounded waits here, and
    fills no queue there.
    """

    def __init__(
        self,
        call: Callable[[list[T]], Awaitable[Sequence[R]]],
        *,
        max_items: int,
        size_bytes: Callable[[T], int] = lambda _: 0,
        max_bytes: int = 8 << 20,
        width: Callable[[], int] = lambda: 1,
        most_calls: Callable[[], int] = lambda: sys.maxsize,
        most_held: int = sys.maxsize,
    ) -> None:
        """Of `most_held` items that wait here, further ones raise Overloaded."""
        self._call = call
        self._max_items = max_items
        self._size_bytes = size_bytes
        self._max_bytes = max_bytes
        self._width = width
        self._most_calls = most_calls
        self._most_held = most_held
        self._pending: deque[tuple[T, asyncio.Future[R], Deadline | None]] = deque()
        self._in_flight = 0
        self._is_due = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: T) -> R:
        """The result for `item`. A caller that is cancelled before its item is sent takes the item back."""
        return (await self.many([item]))[0]

    async def many(self, items: Sequence[T]) -> list[R]:
        """The results for all of `items`, in order; they are offered together, so they travel together.

        Raises Overloaded where there is no room for all of them beside others; then none is sent.
        """
        if len(self._pending) + len(items) > self._most_held:
            self._flush()
            self._drop_ended()
            if self._pending and len(self._pending) + len(items) > self._most_held:
                raise Overloaded(f"{len(self._pending)} inputs wait already; try again shortly")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[R]] = [loop.create_future() for _ in items]
        deadline = current_deadline()
        self._pending.extend((item, future, deadline) for item, future in zip(items, futures, strict=True))
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._flush)
        return list(await asyncio.gather(*futures))

    def _drop_ended(self) -> None:
        """Those whose callers went away."""
        waiting = [entry for entry in self._pending if not entry[1].done()]
        self._pending.clear()
        self._pending.extend(waiting)

    def held(self) -> int:
        """Items that wait here to be sent."""
        return len(self._pending)

    def _flush(self) -> None:
        self._is_due = False
        while self._pending and self._in_flight < self._allowed():
            batch = self._take()
            if batch:
                self._in_flight += 1
                # In a context of its own: Serve ends the calls that were made in that of a request whose caller left,
                # and this one is made for all of its items' callers.
                task = asyncio.get_running_loop().create_task(self._send(batch), context=contextvars.Context())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _allowed(self) -> int:
        """How many calls may be under way for the next one to be sent."""
        return self._most_calls() if len(self._pending) >= self._max_items else self._width()

    def _take(self) -> list[tuple[T, asyncio.Future[R], Deadline | None]]:
        """The next call's items, without those whose time ran out. With several free replicas the pending items are
        shared out among them."""
        free = max(self._width() - self._in_flight, 1)
        room = min(self._max_items, -(-len(self._pending) // free))
        batch: list[tuple[T, asyncio.Future[R], Deadline | None]] = []
        size = 0
        while self._pending and len(batch) < room:
            item, future, deadline = self._pending[0]
            if deadline is not None and deadline.is_over() and not future.done():
                future.set_exception(too_late("it was sent on"))
            if future.done():
                self._pending.popleft()
                continue
            size += self._size_bytes(item)
            if batch and size > self._max_bytes:
                break
            self._pending.popleft()
            batch.append((item, future, deadline))
        return batch

    async def _send(self, batch: list[tuple[T, asyncio.Future[R], Deadline | None]]) -> None:
        """The call is worth making until the last of its items' callers stops waiting."""
        try:
            with until(latest(deadline for _, _, deadline in batch)):
                results = await self._call([item for item, _, _ in batch])
            for (_, future, _), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except BaseException as error:
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error) if isinstance(error, Exception) else future.cancel()
            if not isinstance(error, Exception):
                raise
        finally:
            self._in_flight -= 1
            self._flush()
