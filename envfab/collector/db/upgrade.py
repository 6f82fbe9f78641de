"""Making the tables, and the way from the tables of older envfabs to those of this one, by Alembic's revisions.

A revision leads to the format whose number it has. Everything happens in one transaction that no other worker
can enter, so that a process which is killed leaves either the old tables or the new ones.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, inspect, select, update

from envfab.collector.db.schema import FORMAT, formats, metadata, revisions
from envfab.errors import EnvfabError, FormatError

# Imported in function bodies: Alembic, which takes a third of a second to load, and is seldom needed.

# An arbitrary number that no other program on the same database should use.
_LOCK = 0x656E76666162
_SCRIPTS = "envfab.collector.db:migrations"


class UnusableTables(EnvfabError):
    """The database has tables, but not those that a collector made."""


def prepare(connection: Connection) -> None:
    """Make the tables, or upgrade older ones, in the connection's transaction.

    Raises `FormatError` for newer ones, and `UnusableTables` for those of other programs, and where some are missing.
    """
    if connection.dialect.name == "postgresql":
        # Several workers start at once, and CREATE TABLE IF NOT EXISTS does not protect against that.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    names = set(inspect(connection).get_table_names())
    if formats.name not in names:
        if foreign := sorted(names & metadata.tables.keys()):
            raise UnusableTables(
                f"the database has tables of another program: {', '.join(foreign)}", hint="name an empty database"
            )
        metadata.create_all(connection)
        connection.execute(insert(formats).values(format=FORMAT))
        connection.execute(insert(revisions).values(version_num=str(FORMAT)))
        return
    there = _format(connection)
    if there > FORMAT:
        raise FormatError(
            f"the collector's database has format {there}; this envfab reads format {FORMAT}", hint="upgrade envfab"
        )
    if there < FORMAT:
        _upgrade(connection, there)
        connection.execute(update(formats).values(format=FORMAT))
    elif missing := sorted(metadata.tables.keys() - {revisions.name} - names):
        raise UnusableTables(
            f"the collector's database lacks tables: {', '.join(missing)}", hint="restore it from a backup"
        )


def _format(connection: Connection) -> int:
    told = connection.execute(select(formats.c.format)).scalars().all()
    if len(told) != 1 or not isinstance(told[0], int) or told[0] < 1:
        raise UnusableTables("the collector's database does not tell its format", hint="restore it from a backup")
    return told[0]


def _upgrade(connection: Connection, there: int) -> None:
    """Run the revisions after format `there`; what that is says the format, which Alembic's own table may lack."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", _SCRIPTS)
    command.stamp(config, str(there) if there > 1 else "base", purge=True)
    command.upgrade(config, "head")
