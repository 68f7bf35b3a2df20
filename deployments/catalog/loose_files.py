"""Media files that one version less names, to be let go of unless an item still names them."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from deployments.catalog.tables import LOOSE_FILES
from deployments.database import Database


class LooseFiles:
    """Over a Catalog's database. Blocks; every method is a transaction, and raises Unavailable and StorageFull."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, addresses: Iterable[str]) -> None:
        def note(connection: Connection) -> None:
            if entries:
                connection.execute(insert(LOOSE_FILES), entries)

        entries = [{"address": address} for address in dict.fromkeys(addresses)]
        self._database.transact(note)

    def page(self, after: int = 0, limit: int = 100) -> list[tuple[int, str]]:
        """Entries beyond `after`: their number, and the file's address. One may be named by several."""
        chosen = (
            select(LOOSE_FILES.c.seq, LOOSE_FILES.c.address)
            .where(LOOSE_FILES.c.seq > after)
            .order_by(LOOSE_FILES.c.seq)
            .limit(limit)
        )
        return self._database.transact(
            lambda connection: [(row.seq, row.address) for row in connection.execute(chosen)]
        )

    def settle(self, seqs: Iterable[int]) -> None:
        """What became of the files of these entries is decided."""
        gone = delete(LOOSE_FILES).where(LOOSE_FILES.c.seq.in_(list(seqs)))
        self._database.transact(lambda connection: connection.execute(gone))
