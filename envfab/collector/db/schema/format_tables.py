"""The format of the tables, and what Alembic notes of it."""

from __future__ import annotations

from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Table

from envfab.collector.db.schema.base import metadata

formats = Table("envfab_format", metadata, Column("format", Integer, nullable=False))

# Alembic's own table, as it makes it; under a name that no other program's Alembic uses in the same database.
revisions = Table(
    "envfab_revision",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="envfab_revision_pkc"),
)
