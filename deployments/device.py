"""The device's one thread, and who is to blame for a batch that fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeAlias, TypeVar, cast

from deployments.errors import EncoderFault
from deployments.thread_names import DEVICE, name_this_thread
from encoders import EncoderError, InputError, Prepared
from encoders.batching import TokenCount
from encoders.errors import OutOfMemory

R = TypeVar("R")
OnBatch: TypeAlias = Callable[[int, int, float], None]
"""Hears of a batch that ran: its items, its cost in tokens, and the seconds."""
log = logging.getLogger(__name__)


def oom_splits(model: object) -> int:
    """How often, since it was loaded, a batch did not fit the device and was halved; 0 for one that does not halve."""
    return int(getattr(model, "oom_splits", 0))


def token_count(model: object) -> TokenCount:
    """What it has computed since it was loaded; nothing, for one that does not count."""
    return cast("TokenCount", getattr(model, "token_count", TokenCount()))


class Device(Generic[R]):
    """Runs a model's `forward` on a thread of its own, one batch at a time."""

    def __init__(
        self,
        forward: Callable[[Sequence[Prepared]], Iterable[R]],
        *,
        name: str,
        on_batch: OnBatch = lambda items, tokens, seconds: None,
    ) -> None:
        """`name` says in errors what failed."""
        self._forward = forward
        self._name = name
        self._on_batch = on_batch
        self._thread = ThreadPoolExecutor(1, DEVICE, name_this_thread, (DEVICE,))

    async def run(self, batch: Sequence[Prepared]) -> list[R | EncoderError]:
        """One result or error an item, in order. An item that fails does not fail its neighbours."""
        started = time.perf_counter()
        results = await asyncio.get_running_loop().run_in_executor(self._thread, self._each, list(batch))
        self._on_batch(len(batch), sum(item.cost for item in batch), time.perf_counter() - started)
        return results

    def close(self) -> None:
        """Waits for the batch that runs."""
        self._thread.shutdown(wait=True)

    def _each(self, batch: list[Prepared]) -> list[R | EncoderError]:
        """What breaks a batch is found by running its items one by one."""
        try:
            return list(self._forward(batch))
        except OutOfMemory as error:
            alone = InputError("too large for the memory of the device", code="out_of_memory")
            rows = cast("Iterable[R]", error.vectors)
            return [alone if row in error.rows else result for row, result in enumerate(rows)]
        except Exception:
            if len(batch) > 1:
                return [self._each([item])[0] for item in batch]
            log.exception("the %s failed on an item", self._name)
            return [EncoderFault(f"the {self._name} failed")]
