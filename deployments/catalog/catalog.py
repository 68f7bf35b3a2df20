"""The catalog: collections and versions in the database, and what may be done to them. Each method is a transaction."""

from __future__ import annotations

import time
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from deployments.catalog.tables import COLLECTIONS, TABLES, TOUCHED, VERSIONS
from deployments.catalog.version_rows import existing_version, insert_version, set_state, version_of
from deployments.catalog.versions import (
    ANNOUNCE_S,
    DEFAULT,
    NAME,
    UNDER_WAY,
    BuildOptions,
    Canary,
    Collection,
    Plan,
    Report,
    State,
    Version,
    as_json,
)
from deployments.database import Database
from deployments.errors import BadRequest, Conflict, NotFound


class Catalog:
    """Blocks: call it in a thread, or through `Database.run`. Every method raises Unavailable and StorageFull."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.create(TABLES)

    def collections(self) -> dict[str, Collection]:
        """All of them by name, the default first. Versions that are `dropping` are left out."""

        def read(connection: Connection) -> dict[str, Collection]:
            # One statement: two would see two states of the database.
            of_names = (
                select(VERSIONS, COLLECTIONS.c.live, COLLECTIONS.c.created_at.label("collection_created_at"))
                .join(COLLECTIONS, COLLECTIONS.c.name == VERSIONS.c.collection)
                .where(VERSIONS.c.state != "dropping")
                .order_by(COLLECTIONS.c.name != DEFAULT, COLLECTIONS.c.name, VERSIONS.c.id)
            )
            rows = list(connection.execute(of_names))
            found = (_collection(list(group)) for _, group in groupby(rows, key=lambda row: row.collection))
            return {one.name: one for one in found if one is not None}

        return self.database.transact(read)

    def version(self, id: int) -> Version | None:
        """In whatever state; None once it is gone."""
        return self.database.transact(lambda connection: version_of(connection, id))

    def states(self) -> dict[int, State]:
        """Of all versions, by their number."""
        chosen = select(VERSIONS.c.id, VERSIONS.c.state)
        return self.database.transact(lambda connection: {row.id: row.state for row in connection.execute(chosen)})

    def in_state(self, *states: State) -> list[Version]:
        """Versions by id."""
        chosen = select(VERSIONS).where(VERSIONS.c.state.in_(states)).order_by(VERSIONS.c.id)
        return self.database.transact(lambda connection: [Version.of_row(row) for row in connection.execute(chosen)])

    def ensure_default(self, plan: Plan, *, place: str) -> Version:
        """The live version of the default collection: made to the plan in `place` where there is none yet."""
        try:
            return self.create(DEFAULT, plan, place=place)
        except Conflict:
            return self.collections()[DEFAULT].live

    def create(self, name: str, plan: Plan, *, place: str | None = None) -> Version:
        """A collection without items. Raises BadRequest for its name, Conflict where it is there already."""
        if not NAME.fullmatch(name):
            raise BadRequest(f"not a collection's name: {NAME.pattern}", "name")

        def make(connection: Connection) -> Version:
            _require_gone(connection, name)
            version = insert_version(connection, name, plan, "live", BuildOptions(), place)
            connection.execute(insert(COLLECTIONS).values(name=name, live=version.id, created_at=time.time()))
            return version

        try:
            return self.database.transact(make)
        except IntegrityError as error:
            raise Conflict(f"there is a collection {name!r} already", "name", "collection_exists") from error

    def replace_empty(
        self, collection: str, old: int, plan: Plan, *, announced: int, place: str | None = None
    ) -> Version:
        """Another live version instead of one that holds nothing, which goes. It is made in `place` unless a version is
        there.

        `announced` is a build that was begun ANNOUNCE_S before `old` was found empty, and which ends here: whoever
        wrote since then is in its journal. Raises Conflict where somebody did, or where it was ended.
        """

        def replace(connection: Connection) -> Version:
            if _locked(connection, collection).live != old:
                raise Conflict(f"{collection} has another live version by now", "collection", "version_moved")
            touched = connection.execute(select(TOUCHED.c.seq).where(TOUCHED.c.version == announced).limit(1)).first()
            if touched is not None or existing_version(connection, announced).state not in UNDER_WAY:
                raise Conflict(f"{collection} is not empty any more", "collection", "version_moved")
            set_state(connection, announced, "dropping")
            taken = select(VERSIONS.c.id).where(VERSIONS.c.place == place, VERSIONS.c.backend == plan.backend)
            free = place if connection.execute(taken).first() is None else None
            version = insert_version(connection, collection, plan, "live", BuildOptions(), free)
            _point(connection, collection, version.id)
            set_state(connection, old, "dropping")
            return version

        return self.database.transact(replace)

    def delete_collection(self, name: str) -> None:
        """Its versions go one by one afterwards. Raises BadRequest for the default, NotFound."""
        if name == DEFAULT:
            raise BadRequest("the default collection stays", "name")

        def remove(connection: Connection) -> None:
            _locked(connection, name)
            connection.execute(delete(COLLECTIONS).where(COLLECTIONS.c.name == name))
            now = time.time()
            connection.execute(
                update(VERSIONS).where(VERSIONS.c.collection == name).values(state="dropping", changed_at=now)
            )

        self.database.transact(remove)

    def begin_build(self, collection: str, plan: Plan, options: BuildOptions, *, idle_until: float = 0.0) -> Version:
        """A new version beside the live one, to be built: by whoever claims it after `idle_until`. Raises NotFound,
        Conflict where a build is under way."""

        def begin(connection: Connection) -> Version:
            _locked(connection, collection)
            _require_no_build(connection, collection)
            version = insert_version(connection, collection, plan, "building", options, None)
            connection.execute(update(VERSIONS).where(VERSIONS.c.id == version.id).values(leased_until=idle_until))
            return version

        return self.database.transact(begin)

    def promote(self, collection: str, id: int, options: BuildOptions) -> Version:
        """Builds a version that was kept up to date, and has it take over. Raises NotFound, Conflict."""

        def begin(connection: Connection) -> Version:
            _locked(connection, collection)
            _require_no_build(connection, collection)
            version = _kept(connection, collection, id)
            connection.execute(
                update(VERSIONS)
                .where(VERSIONS.c.id == version.id)
                .values(state="building", changed_at=time.time(), owner=None, leased_until=0.0)
                .values(build=as_json(options), report=as_json(Report()))
            )
            return existing_version(connection, version.id)

        return self.database.transact(begin)

    def drop_version(self, collection: str, id: int) -> None:
        """Ends the build of a version, or lets go of one that was kept. Raises NotFound, Conflict for the live one."""

        def drop(connection: Connection) -> None:
            live = _locked(connection, collection).live
            version = version_of(connection, id)
            if version is None or version.collection != collection or version.state == "dropping":
                raise NotFound(f"{collection} has no version {id}", "version", "version_not_found")
            if id == live:
                raise Conflict(f"version {id} is the live one of {collection}", "version", "version_is_live")
            set_state(connection, id, "dropping")

        self.database.transact(drop)

    def forget(self, id: int) -> None:
        """Takes a version that was dropped, and its files with it, out of the catalog."""

        def remove(connection: Connection) -> None:
            connection.execute(delete(TOUCHED).where(TOUCHED.c.version == id))
            connection.execute(delete(VERSIONS).where(VERSIONS.c.id == id, VERSIONS.c.state == "dropping"))

        self.database.transact(remove)

    def set_canary(self, id: int, canary: Canary) -> None:
        values = update(VERSIONS).where(VERSIONS.c.id == id).values(canary=as_json(canary))
        self.database.transact(lambda connection: connection.execute(values))


def _collection(rows: list[Any]) -> Collection | None:
    """None where the live version is not among them: it was deleted."""
    versions = tuple(Version.of_row(row) for row in rows)
    live = next((version for version in versions if version.id == rows[0].live), None)
    return None if live is None else Collection(live.collection, rows[0].collection_created_at, live, versions)


def _locked(connection: Connection, name: str) -> Any:
    """The collection's row, which nobody changes until this transaction ends. Raises NotFound."""
    row = connection.execute(select(COLLECTIONS).where(COLLECTIONS.c.name == name).with_for_update()).first()
    if row is None:
        raise unknown_collection(name)
    return row


def unknown_collection(name: str) -> NotFound:
    return NotFound(f"there is no collection {name[:80]!r}", "collection", "collection_not_found")


def _kept(connection: Connection, collection: str, id: int) -> Version:
    version = version_of(connection, id)
    if version is None or version.collection != collection or version.state not in ("ready", "retired"):
        raise NotFound(f"{collection} has no version {id} that was built and kept", "version", "version_not_found")
    return version


def _require_no_build(connection: Connection, collection: str) -> None:
    building = select(VERSIONS.c.id).where(VERSIONS.c.collection == collection, VERSIONS.c.state.in_(UNDER_WAY))
    id = connection.execute(building).scalar()
    if id is not None:
        raise Conflict(
            f"version {id} of {collection} is being built: wait, or drop it", "collection", "build_under_way"
        )


def _require_gone(connection: Connection, collection: str) -> None:
    """A writer that does not know yet that the last one of this name was deleted would take it for this one."""
    going = select(VERSIONS.c.id).where(
        VERSIONS.c.collection == collection,
        VERSIONS.c.state == "dropping",
        VERSIONS.c.changed_at > time.time() - ANNOUNCE_S,
    )
    if connection.execute(going).first() is not None:
        raise Conflict(f"{collection} is being deleted: try again shortly", "name", "collection_exists")


def _point(connection: Connection, collection: str, id: int) -> None:
    connection.execute(update(COLLECTIONS).where(COLLECTIONS.c.name == collection).values(live=id))
