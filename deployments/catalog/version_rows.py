"""Rows of versions, inside a transaction of whoever calls."""

from __future__ import annotations

import json
import time

from sqlalchemy import Connection, insert, select, update

from deployments.catalog.tables import VERSIONS
from deployments.catalog.versions import BuildOptions, Plan, Report, State, Version, as_json


def version_of(connection: Connection, id: int) -> Version | None:
    row = connection.execute(select(VERSIONS).where(VERSIONS.c.id == id)).first()
    return None if row is None else Version.of_row(row)


def existing_version(connection: Connection, id: int) -> Version:
    version = version_of(connection, id)
    assert version is not None
    return version


def insert_version(
    connection: Connection, collection: str, plan: Plan, state: State, options: BuildOptions, place: str | None
) -> Version:
    now = time.time()
    made = connection.execute(
        insert(VERSIONS).values(
            collection=collection,
            encoder=plan.encoder,
            fingerprint=plan.contract.fingerprint,
            contract=plan.contract.to_json(),
            dim=plan.contract.dim,
            backend=plan.backend,
            place=place or "",
            options=json.dumps(dict(plan.options)),
            state=state,
            created_at=now,
            changed_at=now,
            build=as_json(options),
            report=as_json(Report()),
            canary="null",
            leased_until=0.0,
        )
    )
    id = int(made.inserted_primary_key[0])  # type: ignore[index]
    if place is None:
        own = f"{plan.contract.fingerprint}_v{id}"
        connection.execute(update(VERSIONS).where(VERSIONS.c.id == id).values(place=own))
    return existing_version(connection, id)


def set_state(connection: Connection, id: int, state: State) -> None:
    connection.execute(update(VERSIONS).where(VERSIONS.c.id == id).values(state=state, changed_at=time.time()))
