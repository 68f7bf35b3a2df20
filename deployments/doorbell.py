"""How the Ocr deployment hears of what was just written, without anyone waiting for it to listen."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)


class RemoteDoorbell:
    """Rings at the Ocr deployment without waiting for it, and forgets rings that it has no time for."""

    def __init__(self, handle: Any, max_ringing: int = 64) -> None:
        """`handle` is a Serve DeploymentHandle."""
        self._handle = handle
        self._max_ringing = max_ringing
        self._ringing: set[asyncio.Task[None]] = set()

    def __call__(self, collection: str, id: str) -> None:
        if len(self._ringing) < self._max_ringing:
            task = asyncio.get_running_loop().create_task(self._ring(collection, id))
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)

    async def _ring(self, collection: str, id: str) -> None:
        try:
            await self._handle.ring.remote(collection, [id])
        except Exception as error:  # The write is done and acknowledged: a lost ring must not show.
            log.debug("the ring for %s was lost: %s", id, error)
