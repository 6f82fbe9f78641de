"""Making the tables, and the way from the tables of older envfabs to those of this one, by Alembic's revisions.

A revision leads to the format whose number it has. Everything happens in one transaction that no other worker
can enter, so that a process which is killed leaves either the old tables or the new ones.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, inspect, select, update

from envfab.collector.db.schema import FORMAT, formats, metadata, revisions
from envfab.errors import FormatError

# Imported in function bodies: Alembic, which takes a third of a second to load, and is seldom needed.

# An arbitrary number that no other program on the same database should use.
_LOCK = 0x656E76666162
_SCRIPTS = "envfab.collector.db:migrations"


def prepare(connection: Connection) -> None:
    """Make the tables, or upgrade older ones, in the connection's transaction; raises `FormatError` for newer ones."""
    if connection.dialect.name == "postgresql":
        # Several workers start at once, and CREATE TABLE IF NOT EXISTS does not protect against that.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if not inspect(connection).has_table(formats.name):
        metadata.create_all(connection)
        connection.execute(insert(formats).values(format=FORMAT))
        connection.execute(insert(revisions).values(version_num=str(FORMAT)))
        return
    there = connection.execute(select(formats.c.format)).scalar_one()
    if there > FORMAT:
        raise FormatError(
            f"the collector's database has format {there}; this envfab reads format {FORMAT}", hint="upgrade envfab"
        )
    if there < FORMAT:
        _upgrade(connection, there)
        connection.execute(update(formats).values(format=FORMAT))


def _upgrade(connection: Connection, there: int) -> None:
    """Run the revisions after format `there`; what that is says the format, which Alembic's own table may lack."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _SCRIPTS)
    command.stamp(config, str(there) if there > 1 else "base", purge=True)
    command.upgrade(config, "head")
