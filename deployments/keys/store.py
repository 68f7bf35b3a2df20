"""Where API keys are kept: their digests, in the database of jobs and collections."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Connection, insert, or_, select, update

from deployments.database import Database
from deployments.errors import BadRequest, NotFound
from deployments.keys.api_key import ApiKey, Scope, digest_of, generate
from deployments.keys.tables import API_KEYS, TABLES

T = TypeVar("T")
USED_GRAIN_S = 600.0
"""A key's last use is written at most so often."""


class KeyStore:
    """The keys in a database, whose table is made when it is first needed. Its methods block.

    All raise Unavailable where the database does not answer, and StorageFull.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._has_table = False

    def create(
        self, name: str, scope: Scope, *, expires_at: float | None = None, rate_per_s: float | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and its text, which cannot be had again."""
        id, text = generate()
        key = ApiKey(id, scope, digest_of(text), name, self._clock(), expires_at, rate_per_s=rate_per_s)
        self._run(lambda connection: _insert(connection, key))
        return key, text

    def rotate(self, id: str, *, overlap_s: float) -> tuple[ApiKey, str, ApiKey]:
        """A new key in place of one, and its text; and the old key, which ends after `overlap_s`, or sooner where it
        was to end sooner. The new one has no end of its own. Raises NotFound, and BadRequest for a key that ended."""

        def work(connection: Connection) -> tuple[ApiKey, str, ApiKey]:
            now = self._clock()
            old = _get(connection, id)
            if old.state(now) != "valid":
                raise BadRequest(f"the key {id} is {old.state(now)}: create another", "id")
            new_id, text = generate()
            new = ApiKey(new_id, old.scope, digest_of(text), old.name, now, rate_per_s=old.rate_per_s)
            _insert(connection, new)
            end = min(now + overlap_s, old.expires_at if old.expires_at is not None else float("inf"))
            connection.execute(update(API_KEYS).where(API_KEYS.c.id == id).values(expires_at=end))
            return new, text, replace(old, expires_at=end)

        return self._run(work)

    def revoke(self, id: str) -> ApiKey:
        """Ends a key at once; one that was revoked before stays as it was. Raises NotFound."""

        def work(connection: Connection) -> ApiKey:
            key = _get(connection, id)
            if key.revoked_at is not None:
                return key
            now = self._clock()
            connection.execute(update(API_KEYS).where(API_KEYS.c.id == id).values(revoked_at=now))
            return replace(key, revoked_at=now)

        return self._run(work)

    def all(self, used: Mapping[str, float] | None = None) -> list[ApiKey]:
        """Every key, the oldest first, those that ended too. `used` are ids and when they were last used, which is
        written down where what stands there is older by USED_GRAIN_S."""

        def work(connection: Connection) -> list[ApiKey]:
            for id, at in (used or {}).items():
                last = API_KEYS.c.last_used_at
                stale = or_(last.is_(None), last < at - USED_GRAIN_S)
                connection.execute(update(API_KEYS).where(API_KEYS.c.id == id, stale).values(last_used_at=at))
            rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.id))
            return [ApiKey(**row._mapping) for row in rows]

        return self._run(work)

    def _run(self, work: Callable[[Connection], T]) -> T:
        if not self._has_table:
            self._database.create(TABLES)
            self._has_table = True
        return self._database.transact(work)


def _insert(connection: Connection, key: ApiKey) -> None:
    connection.execute(insert(API_KEYS).values(**{column.name: getattr(key, column.name) for column in API_KEYS.c}))


def _get(connection: Connection, id: str) -> ApiKey:
    row = connection.execute(select(API_KEYS).where(API_KEYS.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no key {id!r}: crossray keys list", "id")
    return ApiKey(**row._mapping)
