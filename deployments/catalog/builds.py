"""What a builder and the writers beside it do in the catalog: the lease, the journal, the swap."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, TypeAlias

from sqlalchemy import Connection, delete, func, insert, select, update

from deployments.catalog.catalog import Catalog
from deployments.catalog.tables import COLLECTIONS, TOUCHED, VERSIONS
from deployments.catalog.version_rows import version_of
from deployments.catalog.versions import UNDER_WAY, Report, State, Version, as_json
from deployments.errors import CrossrayError

LEASE_S = 5.0
"""A builder that did not say for so long that it lives is dead."""
Swap: TypeAlias = Literal["swapped", "touched"]


class BuildLost(CrossrayError):
    """The build was ended, or another builder has it."""


class Builds:
    """The builder's transactions, as `owner`; each raises BuildLost where the build is not its own any more."""

    def __init__(self, catalog: Catalog, owner: str) -> None:
        self._catalog = catalog
        self._owner = owner

    def claim(self) -> Version | None:
        """A build that nobody is at, and its lease."""

        def take(connection: Connection) -> Version | None:
            free = (
                select(VERSIONS.c.id)
                .where(VERSIONS.c.state.in_(UNDER_WAY), VERSIONS.c.leased_until < time.time())
                .order_by(VERSIONS.c.changed_at)
                .limit(1)
                .with_for_update()
            )
            id = connection.execute(free).scalar()
            if id is None:
                return None
            connection.execute(update(VERSIONS).where(VERSIONS.c.id == id).values(**self._lease(), state="building"))
            return version_of(connection, id)

        return self._catalog.database.transact(take)

    def note(self, id: int, report: Report) -> None:
        """Keeps the report and renews the lease."""
        self._change(id, report=as_json(report))

    def set_state(self, id: int, state: State) -> None:
        self._change(id, state=state, changed_at=time.time())

    def finish(self, id: int, report: Report) -> None:
        """Leaves the version `ready`; writes are not kept for it from now on."""

        def end(connection: Connection) -> None:
            self._require(connection, id)
            connection.execute(delete(TOUCHED).where(TOUCHED.c.version == id))
            _set(connection, id, state="ready", changed_at=time.time(), report=as_json(report), owner=None)

        self._catalog.database.transact(end)

    def journal(self, id: int, limit: int) -> list[tuple[int, str]]:
        """The first entries: their number, and the item's id."""
        chosen = (
            select(TOUCHED.c.seq, TOUCHED.c.item).where(TOUCHED.c.version == id).order_by(TOUCHED.c.seq).limit(limit)
        )
        return self._catalog.database.transact(
            lambda connection: [(row.seq, row.item) for row in connection.execute(chosen)]
        )

    def settle(self, id: int, seqs: Sequence[int]) -> None:
        """These entries are in the version."""

        def remove(connection: Connection) -> None:
            self._require(connection, id)
            connection.execute(delete(TOUCHED).where(TOUCHED.c.seq.in_(list(seqs))))

        self._catalog.database.transact(remove)

    def swap(self, id: int, expected_live: int, report: Report) -> Swap:
        """Points the collection at the version if its journal is empty. The one that was live is kept, or goes."""

        def point(connection: Connection) -> Swap:
            # The collection's row before the version's, as everybody else: `touch` would wait for us, and we for it.
            name = connection.execute(select(VERSIONS.c.collection).where(VERSIONS.c.id == id)).scalar()
            live = connection.execute(
                select(COLLECTIONS.c.live).where(COLLECTIONS.c.name == name).with_for_update()
            ).scalar()
            version = self._require(connection, id)
            if live != expected_live:
                raise BuildLost(f"{name} has another live version by now")
            waiting = select(func.count()).select_from(TOUCHED).where(TOUCHED.c.version == id)
            if connection.execute(waiting).scalar_one():
                return "touched"
            connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.name == name).values(live=id))
            now = time.time()
            _set(connection, id, state="live", changed_at=now, report=as_json(report), owner=None)
            _set(connection, live, state="retired" if version.build.keep else "dropping", changed_at=now)
            return "swapped"

        return self._catalog.database.transact(point)

    def _change(self, id: int, **values: object) -> None:
        def change(connection: Connection) -> None:
            self._require(connection, id)
            _set(connection, id, **self._lease(), **values)

        self._catalog.database.transact(change)

    def _require(self, connection: Connection, id: int) -> Version:
        # Journal entries refer to the row, and do not wait for this.
        row = connection.execute(select(VERSIONS).where(VERSIONS.c.id == id).with_for_update(key_share=True)).first()
        if row is None or row.state not in UNDER_WAY or row.owner != self._owner:
            raise BuildLost(f"the build of version {id} was ended")
        return Version.of_row(row)

    def _lease(self) -> dict[str, object]:
        return {"owner": self._owner, "leased_until": time.time() + LEASE_S}


Touch: TypeAlias = Literal["kept", "moved", "gone"]


def touch(catalog: Catalog, collection: str, version: int, items: Sequence[str]) -> Touch:
    """Puts what was written in `version` into the journal of the build beside it, if there is one.

    `moved`: another version is live, and the write has to be done there. `gone`: so has the collection.
    """

    def note(connection: Connection) -> Touch:
        row = connection.execute(
            select(COLLECTIONS.c.live).where(COLLECTIONS.c.name == collection).with_for_update(read=True)
        ).first()
        if row is None:
            return "gone"
        if row.live != version:
            return "moved"
        builds = select(VERSIONS.c.id).where(VERSIONS.c.collection == collection, VERSIONS.c.state.in_(UNDER_WAY))
        entries = [
            {"version": build, "item": item}
            for build in connection.execute(builds).scalars()
            for item in dict.fromkeys(items)
        ]
        if entries:
            connection.execute(insert(TOUCHED), entries)
        return "kept"

    return catalog.database.transact(note)


def _set(connection: Connection, id: int, **values: object) -> None:
    connection.execute(update(VERSIONS).where(VERSIONS.c.id == id).values(**values))
