"""The tables of collections. All times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

TABLES = MetaData()

COLLECTIONS = Table(
    "collections",
    TABLES,
    Column("name", String(63), primary_key=True),
    Column("live", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
)
VERSIONS = Table(
    "versions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("collection", String(63), nullable=False, index=True),
    Column("encoder", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("contract", Text, nullable=False),
    Column("dim", Integer, nullable=False),
    Column("backend", String(32), nullable=False),
    Column("place", String(128), nullable=False),
    Column("options", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Column("build", Text, nullable=False),
    Column("report", Text, nullable=False),
    Column("canary", Text, nullable=False),
    Column("owner", String(64)),
    Column("leased_until", Float, nullable=False),
    sqlite_autoincrement=True,  # an id names files, so one that was dropped is not given again
)
TOUCHED = Table(
    "touched_items",
    TABLES,
    Column("seq", Integer, primary_key=True),
    Column("version", Integer, ForeignKey("versions.id"), nullable=False, index=True),
    Column("item", String(128), nullable=False),
    sqlite_autoincrement=True,
)
LOOSE_FILES = Table(
    "loose_media",
    TABLES,
    Column("seq", Integer, primary_key=True),
    Column("address", String(64), nullable=False),
    sqlite_autoincrement=True,
)
"""Media files that a version named which no longer does. Who writes items looks whether another does."""
