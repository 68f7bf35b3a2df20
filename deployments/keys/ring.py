"""What a replica knows of the API keys: a copy, so that a request is checked without a question to the database.

How late a replica may learn of a key that was revoked: `refresh_s` while the database answers. While it does not,
the copy is used for `max_stale_s`, and after that every call with a key of the database is refused. A key that a
replica does not know makes it look at once, but not oftener than every UNKNOWN_S.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from deployments.errors import CrossrayError, Unavailable
from deployments.keys.api_key import ApiKey
from deployments.keys.store import USED_GRAIN_S

UNKNOWN_S = 1.0
PATIENCE_S = 0.2
"""Which a request waits for the database, where there is a copy to go by."""
log = logging.getLogger(__name__)


class Keys(Protocol):
    """Where keys are read: a KeyStore."""

    def all(self, used: Mapping[str, float] | None = None) -> list[ApiKey]: ...


class KeyRing:
    """For one event loop."""

    def __init__(
        self,
        store: Keys | None,
        static: Iterable[ApiKey] = (),
        *,
        required: bool | None = None,
        refresh_s: float = 5.0,
        max_stale_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`static` keys come from the settings, and do not change. `required` says whether calls need a key; None:
        from the first key on that was ever made."""
        self._store = store
        self._static = {key.id: key for key in static}
        self._known = dict(self._static)
        self._required = required
        self._refresh_s = refresh_s
        self._max_stale_s = max_stale_s
        self._clock = clock
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._used: dict[str, float] = {}

    async def asks_for_keys(self) -> bool:
        """Raises Unavailable where that cannot be told."""
        if self._required is not None:
            return self._required
        if not self._known:
            await self._look(self._refresh_s)
            # Where there was none yet: while the database does not answer, nobody can make one.
            self._require_read_within(float("inf"))
        return bool(self._known)

    async def find(self, id: str) -> ApiKey | None:
        """The key of this id, whatever its state. Raises Unavailable where that cannot be told."""
        if id in self._static:
            return self._static[id]
        await self._look(self._refresh_s if id in self._known else UNKNOWN_S)
        self._require_read_within(self._max_stale_s)
        return self._known.get(id)

    def note_use(self, key: ApiKey) -> None:
        """The key was used just now; it is written down with the next reading, if that is news."""
        now = time.time()
        if key.id not in self._static and (key.last_used_at or 0.0) < now - USED_GRAIN_S:
            self._used[key.id] = now

    async def _look(self, at_most_s: float) -> None:
        """Reads the keys where the copy is older than that; where it soon will be, beside the request."""
        if self._store is None:
            return
        now = self._clock()
        if (age_s := now - self._read_at) > at_most_s:
            if self._reading is None and now - self._tried_at >= min(UNKNOWN_S, self._refresh_s):
                self._begin_reading()
            if self._reading is not None:
                patience_s = None if self._read_at == float("-inf") else max(0.0, self._tried_at + PATIENCE_S - now)
                await asyncio.wait([self._reading], timeout=patience_s)
        elif age_s > self._refresh_s / 2 and self._reading is None:
            self._begin_reading()

    def _require_read_within(self, max_age_s: float) -> None:
        """Raises Unavailable for a copy that is older, or none at all."""
        age_s = self._clock() - self._read_at
        if self._store is not None and (age_s > max_age_s or age_s == float("inf")):
            raise Unavailable("API keys cannot be checked: their database does not answer", code="keys_unavailable")

    def _begin_reading(self) -> None:
        self._tried_at = self._clock()
        self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self._store is not None
        began, used, self._used = self._clock(), self._used, {}
        try:
            keys = await asyncio.to_thread(self._store.all, used)
        except Exception as error:
            self._used = used | self._used
            log.warning("API keys are as they were before: %s", error, exc_info=not isinstance(error, CrossrayError))
        else:
            self._known = {key.id: key for key in keys} | self._static
            self._read_at = began
        finally:
            self._reading = None
