"""The database of what a cluster knows beside its items: SQLite in a file, or PostgreSQL where several nodes share it.

Each subject keeps tables of its own (`Table`s on a MetaData of its own) and does its work in short transactions here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from deployments.errors import Unavailable
from retrieval.durable import make_folder
from retrieval.errors import StorageFull

T = TypeVar("T")

BUSY_S = 10.0
"""How long a transaction waits for another process's, or for a server to answer."""
STATEMENT_S = 60.0
"""How long PostgreSQL works on one statement: many times what writing or forgetting the largest job takes."""
_KEEPALIVE_IDLE_S = 5
_KEEPALIVE_INTERVAL_S = 2
_KEEPALIVE_COUNT = 3
"""A server that fell silent while an answer is waited for is given up after 5 + 3 · 2 s: the system's own default is
over two hours."""
_CREATING = 0x63726F73
"""PostgreSQL's advisory lock under which tables are made: two replicas that make one at once would fail."""


class Database:
    """Short transactions, each all or nothing and on disk when it returns. Safe for many threads and processes."""

    def __init__(self, url: str) -> None:
        """`url` is SQLAlchemy's: `sqlite:////path/file` or `postgresql+psycopg://user:password@host/name`. What its
        query says of libpq's parameters goes before what is set here.

        Connects when it is first used.
        """
        self._engine = _engine(url)
        self._is_sqlite = self._engine.dialect.name == "sqlite"

    def create(self, tables: MetaData) -> None:
        """Makes the tables that are not there. Raises Unavailable, StorageFull."""

        def make(connection: Connection) -> None:
            if not self._is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATING})
            tables.create_all(connection)

        self.transact(make)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in one transaction, which is undone where it raises. Raises Unavailable, StorageFull."""
        with _named_errors(), self._engine.begin() as connection:
            return work(connection)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """`transact` off the event loop."""
        return await asyncio.to_thread(self.transact, work)

    def close(self) -> None:
        self._engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        arguments = _libpq_parameters(make_url(url).query)
        return create_engine(url, pool_pre_ping=True, pool_size=4, pool_timeout=BUSY_S, connect_args=arguments)
    # An in-memory database has a pool without a limit, and so without a time.
    waits = {} if make_url(url).database in (None, "", ":memory:") else {"pool_timeout": BUSY_S}
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, **waits)

    @event.listens_for(engine, "do_connect")
    def folder(_dialect: Any, _record: Any, args: list[Any], _kwargs: dict[str, Any]) -> None:
        if args and args[0] != ":memory:":
            make_folder(Path(args[0]).parent)

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # sqlite3 begins no transactions of its own: `begin` below does
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            raw.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # At once, for a transaction that reads first and then wants to write may find that it is too late to wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _libpq_parameters(given: Mapping[str, Any]) -> dict[str, int | str]:
    """What bounds every wait for a server: for a connection, for what was sent to be received, for an answer, for a
    row that another transaction holds. (PostgreSQL's documentation, "Parameter Key Words" of libpq.)

    `given` are the parameters that the URL has; its options of the server follow ours, and of two the last counts.
    """
    options = f"-c statement_timeout={int(STATEMENT_S * 1000)} -c lock_timeout={int(BUSY_S * 1000)}"
    parameters: dict[str, int | str] = {
        "connect_timeout": int(BUSY_S),
        "tcp_user_timeout": int(BUSY_S * 1000),
        "keepalives": 1,
        "keepalives_idle": _KEEPALIVE_IDLE_S,
        "keepalives_interval": _KEEPALIVE_INTERVAL_S,
        "keepalives_count": _KEEPALIVE_COUNT,
    }
    ours = {name: value for name, value in parameters.items() if name not in given}
    return ours | {"options": f"{options} {given.get('options', '')}".strip()}


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())[:200]
        if "disk is full" in reason:
            raise StorageFull("no room left for the database of jobs and collections") from error
        raise Unavailable(f"the database of jobs and collections does not answer: {reason}") from error
    except PoolTimeout as error:
        raise Unavailable("all connections to the database of jobs and collections are in use") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Unavailable("the database of jobs and collections went away") from error
