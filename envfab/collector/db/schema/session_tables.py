"""Browsers that are signed in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, Text

from envfab.collector.db.schema.base import metadata

# Browsers that are signed in: the SHA-256 of the cookie, and of the token that they signed in with.
sessions = Table(
    "sessions",
    metadata,
    Column("cookie", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
)
