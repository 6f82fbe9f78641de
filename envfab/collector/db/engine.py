"""The database: one engine, short transactions, what is committed is on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from envfab.collector.db.schema import FORMAT, formats
from envfab.collector.db.upgrade import prepare
from envfab.errors import ConfigurationError, EnvfabError

# Seconds that a writer waits for another one, and a connection for PostgreSQL.
PATIENCE = 15
# Seconds that a look at the database waits for one that writes.
GLANCE = 1
_WRITING = "envfab_writing"
_READ_ONLY = "the database can only be read"


class CollectorError(EnvfabError):
    """The collector cannot work with what it was given: a database, a folder, an address."""


class Storage:
    """The collector's tables. Opening makes them; raises `CollectorError`, `ConfigurationError`, `FormatError`."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(driver_url(url))
        try:
            with self.writing() as connection:
                prepare(connection)
        except DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            raise CollectorError(f"cannot use the database: {reason}", where=_shown(self.engine.url)) from None
        finally:
            self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the tables."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on disk at its end, or undone."""
        with self.engine.connect().execution_options(**{_WRITING: True}) as connection, connection.begin():
            yield connection

    def problem(self) -> str:
        """What keeps a transaction from writing, in words, or nothing; another one that writes now is no problem.

        Raises `SQLAlchemyError` where the database cannot be asked.
        """
        if self.engine.dialect.name != "postgresql":
            return self._sqlite_problem()
        query = select(formats.c.format, func.current_setting("transaction_read_only"))
        with self.reading() as connection:
            number, read_only = connection.execute(query).one()
        return _READ_ONLY if read_only == "on" else _format_problem(number)

    def _sqlite_problem(self) -> str:
        with self.engine.connect().execution_options(**{_WRITING: True}) as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute(f"PRAGMA busy_timeout = {1000 * GLANCE}")
            try:
                with connection.begin():
                    return _format_problem(connection.execute(select(formats.c.format)).scalar_one())
            except OperationalError as error:
                reason = str(error.orig)
                if "locked" not in reason and "readonly" not in reason:
                    raise
                return "" if "locked" in reason else _READ_ONLY
            finally:
                driver.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE}")

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def insert_or(connection: Connection, table: Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the words of the database at hand."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def run_many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, object]]) -> None:
    """Execute a statement for many rows, or not at all where there are none."""
    if rows:
        connection.execute(statement, rows)


def _format_problem(number: int) -> str:
    return "" if number == FORMAT else "the database has the tables of another envfab"


def driver_url(text: str) -> URL:
    """The URL of a database with the driver for it; raises `ConfigurationError`."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError(
            "the database must be a URL", where="collector database", hint="say postgresql://USER@HOST/NAME"
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            f"the collector does not work with {url.drivername}",
            where="collector database",
            hint="it works with SQLite and PostgreSQL",
        )
    return url


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 8}
    if "connect_timeout" not in url.query:
        # The driver would wait for minutes for a server that is there, but does not answer.
        options["connect_args"] = {"connect_timeout": PATIENCE}
    if url.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": PATIENCE}}
    try:
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            f"the driver for {url.drivername} is not installed",
            where="collector database",
            hint="pip install 'envfab[collector]'",
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and too late: see `_begin_sqlite`.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # With NORMAL, a power cut can take back what was answered with success.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that first reads and then writes cannot wait for another writer; one that says so at once can.
    writes = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _shown(url: URL) -> str:
    """A URL for messages, without password."""
    return url.render_as_string(hide_password=True)
