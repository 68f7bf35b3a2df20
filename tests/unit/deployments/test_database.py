from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select, text, update

from deployments.database import Database
from deployments.errors import Unavailable

TABLES = MetaData()
COUNTS = Table("counts", TABLES, Column("id", Integer, primary_key=True), Column("n", Integer, nullable=False))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/new/state.sqlite3"


def test_it_makes_its_folder_and_tables_once(url: str) -> None:
    for _ in range(2):
        database = Database(url)
        database.create(TABLES)
        assert database.transact(lambda c: c.execute(select(COUNTS)).all()) == []
        database.close()


def test_a_failed_transaction_leaves_nothing(url: str) -> None:
    database = Database(url)
    database.create(TABLES)

    def half(connection: Connection) -> None:
        connection.execute(insert(COUNTS).values(id=1, n=0))
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        database.transact(half)
    assert database.transact(lambda c: c.execute(select(COUNTS)).all()) == []
    database.close()


def test_transactions_that_read_and_then_write_do_not_lose_updates(url: str) -> None:
    databases = [Database(url) for _ in range(2)]
    databases[0].create(TABLES)
    databases[0].transact(lambda c: c.execute(insert(COUNTS).values(id=1, n=0)))

    def add(connection: Connection) -> None:
        n = connection.execute(select(COUNTS.c.n)).scalar_one()
        connection.execute(update(COUNTS).values(n=n + 1))

    def work(database: Database) -> None:
        for _ in range(10):
            database.transact(add)

    threads = [threading.Thread(target=work, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert databases[0].transact(lambda c: c.execute(select(COUNTS.c.n)).scalar_one()) == 20
    for database in databases:
        database.close()


def test_what_is_committed_is_flushed(url: str) -> None:
    database = Database(url)
    assert database.transact(lambda c: c.execute(text("PRAGMA synchronous")).scalar_one()) == 2
    assert database.transact(lambda c: c.execute(text("PRAGMA journal_mode")).scalar_one()) == "wal"
    database.close()


def test_a_file_that_is_no_database_is_named_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").mkdir()
    with pytest.raises(Unavailable, match="does not answer"):
        Database(f"sqlite:///{tmp_path}/state.sqlite3").create(TABLES)


def test_two_processes_wait_for_each_other(url: str, tmp_path: Path) -> None:
    database = Database(url)
    database.create(TABLES)
    other = sqlite3.connect(tmp_path / "new" / "state.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO counts VALUES (1, 1)")
    done: list[int] = []
    thread = threading.Thread(
        target=lambda: done.append(database.transact(lambda c: len(c.execute(select(COUNTS)).all())))
    )
    thread.start()
    assert done == []
    other.execute("COMMIT")
    other.close()
    thread.join()
    assert done == [1]
    database.close()


def test_a_database_in_memory() -> None:
    database = Database("sqlite:///:memory:")
    assert database.transact(lambda c: c.execute(text("SELECT 1")).scalar_one()) == 1
    database.close()


def test_no_connection_is_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.database.BUSY_S", 0.05)
    database = Database(url)
    held = [database._engine.connect() for _ in range(15)]
    with pytest.raises(Unavailable, match="in use"):
        database.transact(lambda c: None)
    for connection in held:
        connection.close()
    database.transact(lambda c: None)
    database.close()


async def test_it_runs_off_the_event_loop(url: str) -> None:
    database = Database(url)
    database.create(TABLES)
    main = threading.get_ident()
    assert await database.run(lambda c: threading.get_ident()) != main
    database.close()
