"""How large the database is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from envfab.collector.db.schema import formats, metadata, revisions


@dataclass(frozen=True, slots=True)
class Sizes:
    """The rows of each table, and the bytes of the whole database."""

    rows: Mapping[str, int]
    bytes: int


def measure(connection: Connection) -> Sizes:
    """Count. PostgreSQL's size is that of the database, with whatever else is in it."""
    tables = [table for table in metadata.sorted_tables if table not in (formats, revisions)]
    rows = {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}
    if connection.dialect.name == "postgresql":
        return Sizes(rows, connection.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    return Sizes(rows, pages * connection.execute(text("PRAGMA page_size")).scalar_one())
