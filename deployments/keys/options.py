"""What an Ingress replica is told of API keys."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.database import Database
from deployments.keys.api_key import parse_entries
from deployments.keys.ring import KeyRing
from deployments.keys.store import KeyStore


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """`static_keys` are entries as `parse_entries` reads them; the rest is as KeyRing has it."""

    required: bool | None
    static_keys: str = field(repr=False)
    refresh_s: float
    max_stale_s: float


def open_ring(options: KeyOptions, database: Database) -> KeyRing:
    """The keys of the settings and of the database. Raises ValueError for entries that do not parse."""
    return KeyRing(
        KeyStore(database),
        parse_entries(options.static_keys),
        required=options.required,
        refresh_s=options.refresh_s,
        max_stale_s=options.max_stale_s,
    )
