"""The database as jobs use it: their tables are made when they are first needed, and time is the database's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, text

from deployments.database import Database
from deployments.jobs.tables import TABLES

T = TypeVar("T")


class JobDatabase:
    """A Database that has the tables of jobs. One that does not answer yet keeps nobody from starting."""

    def __init__(self, url: str) -> None:
        """`url` as Database has it."""
        self._database = Database(url)
        self._has_tables = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """One transaction, off the event loop. Raises Unavailable, StorageFull."""
        if not self._has_tables:
            await asyncio.to_thread(self._database.create, TABLES)
            self._has_tables = True
        return await self._database.run(work)

    def close(self) -> None:
        self._database.close()


def now(connection: Connection) -> float:
    """Seconds since the epoch by the clock that all workers share: the server's, or with SQLite this machine's."""
    if connection.dialect.name == "postgresql":
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    return time.time()
