"""The table of API keys. All times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import Column, Float, MetaData, String, Table

TABLES = MetaData()

API_KEYS = Table(
    "api_keys",
    TABLES,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
    Column("rate_per_s", Float),
)
"""Rows of keys that ended stay: they tell who the caller of an old audit line was, and that keys are asked for."""
