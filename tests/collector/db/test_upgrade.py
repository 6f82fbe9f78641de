"""Databases of every released format, on the way to this one."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event, inspect, select, update

from envfab.collector.db.engine import Storage, driver_url
from envfab.collector.db.registered_virtualenvs import uuid_of_virtualenv
from envfab.collector.db.schema import FORMAT, formats, metadata, revisions, virtualenvs
from envfab.collector.db.upgrade import UnusableTables
from envfab.errors import FormatError
from tests.collector.conftest import MakeApp, service_of
from tests.collector.db.released import FORMATS, restore
from tests.collector.sending import ROLLOUT, put_rollout, register, rollout
from tests.support.postgres import Postgres

OLDER = [number for number in FORMATS if number < FORMAT]


def new_database(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """The URL of another empty database."""
    if kind == "sqlite":
        return f"sqlite:///{folder / f'{len(list(folder.iterdir()))}.sqlite3'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes empty databases of one kind, and tells their URLs."""
    return lambda: new_database(request.param, tmp_path, request)


def tables_in(url: str) -> dict[str, Any]:
    """The names of all columns by table, and the format and the revision that the database says it has."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            there = inspect(connection)
            names = [name for name in there.get_table_names() if name != revisions.name]
            columns = {name: sorted(column["name"] for column in there.get_columns(name)) for name in names}
            number = connection.execute(select(formats.c.format)).scalar_one()
            return {"columns": columns, "format": number}
    finally:
        engine.dispose()


def differences(url: str) -> list[Any]:
    """How a database differs from the tables that this envfab makes, as Alembic sees it."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": revisions.name})
            return list(compare_metadata(context, metadata))
    finally:
        engine.dispose()


def test_the_newest_revision_leads_to_the_format() -> None:
    """Each format after the first has one revision, of its number, after the one before."""
    config = Config()
    config.set_main_option("script_location", "envfab.collector.db:migrations")
    walked = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert walked == [str(number) for number in range(FORMAT, 1, -1)]


def test_every_format_has_a_dump() -> None:
    """A new format comes with a dump of the one before, taken before the change."""
    assert FORMATS[-1] in (FORMAT, FORMAT - 1)


@pytest.mark.parametrize("number", FORMATS)
def test_a_released_database_is_upgraded_and_used(
    number: int, make_database: Callable[[], str], make_app: MakeApp
) -> None:
    """Its pages show what was registered, it takes registrations, and its tables are those of a new database."""
    url = make_database()
    restore(number, url)
    client = make_app(database=url).test_client()
    listed = client.get("/api/applications").get_json()
    assert [(one["uuid"], one["name"], one["packages"]) for one in listed] == [("u2", "sh'op", 2), ("u1", "shop", 2)]
    for path in ("/", "/applications/u1", "/packages/", "/packages/django", "/behind", "/usage", "/feed.atom"):
        assert client.get(path, headers={"Accept": "text/html"}).status_code == 200, path
    register(client, "u1", [("Django", "5.2")], digest="a" * 64)
    found = client.get("/api/applications/u1").get_json()
    assert (found["digest"], [one["version"] for one in found["installed"]]) == ("a" * 64, ["5.2"])
    assert put_rollout(client, rollout()).status_code == 200
    assert client.get(f"/rollouts/{ROLLOUT}").status_code == 200
    assert tables_in(url)["format"] == FORMAT
    assert [one for one in differences(url) if one[0] != "add_table" or one[1].name != revisions.name] == []


def test_virtualenvs_of_earlier_rollouts_are_recognised_as_applications(make_database: Callable[[], str]) -> None:
    """They get the UUIDs that they register with."""
    url = make_database()
    restore(6, url)
    storage = Storage(url)
    with storage.reading() as connection:
        rows = connection.execute(select(*(virtualenvs.c[name] for name in ("host", "owner", "path", "uuid")))).all()
    storage.close()
    assert rows == [(*place, uuid_of_virtualenv(*place)) for *place, _ in rows] != []


@pytest.mark.parametrize("number", OLDER)
def test_reports_are_kept_or_indexed_again(number: int, make_database: Callable[[], str], make_app: MakeApp) -> None:
    """The counts of reports survive; those of format 1 are made anew out of the reports' files."""
    url = make_database()
    restore(number, url)
    app = make_app(database=url)
    service = service_of(app)
    if number == 1:
        service.folder.store(b"date:1763680000.250\nversion:1.2\nuser:someone\n", "prog", "")
        service.tidy()
    assert app.test_client().get("/api/usage").get_json()["reports"] == 1


def test_a_newer_format_is_refused(make_database: Callable[[], str]) -> None:
    """A database that a newer envfab wrote is refused in two lines, and left as it is."""
    url = make_database()
    storage = Storage(url)
    with storage.writing() as connection:
        connection.execute(update(formats).values(format=FORMAT + 1))
    with pytest.raises(FormatError) as caught:
        Storage(url)
    assert str(caught.value) == (
        f"the collector's database has format {FORMAT + 1}; this envfab reads format {FORMAT}\n  upgrade envfab"
    )
    storage.close()


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["DELETE FROM envfab_format"],
            "the collector's database does not tell its format\n  restore it from a backup",
        ),
        (["INSERT INTO envfab_format VALUES (1)"], "does not tell its format"),
        (["UPDATE envfab_format SET format = 0"], "does not tell its format"),
        (
            ["DROP TABLE counters", "DROP TABLE erasures"],
            "database lacks tables: counters, erasures\n  restore it from",
        ),
        (["DROP TABLE envfab_format"], "the database has tables of another program: applications, behind_weeks, "),
    ],
)
def test_tables_that_cannot_be_used(make_database: Callable[[], str], statements: list[str], message: str) -> None:
    """What was restored by half, or is another program's, is told at the start, and left as it is."""
    url = make_database()
    storage = Storage(url)
    with storage.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    with storage.reading() as connection:
        before = inspect(connection).get_table_names()
    with pytest.raises(UnusableTables) as caught:
        Storage(url)
    assert message in str(caught.value)
    with storage.reading() as connection:
        assert inspect(connection).get_table_names() == before
    storage.close()


def test_workers_upgrade_once(make_database: Callable[[], str]) -> None:
    """Several workers that find an old database upgrade it once, and all of them start."""
    url = make_database()
    restore(1, url)
    made: list[Storage] = []
    threads = [threading.Thread(target=lambda: made.append(Storage(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    with made[0].reading() as connection:
        assert connection.execute(select(revisions.c.version_num)).scalars().all() == [str(FORMAT)]
    for storage in made:
        storage.close()


def upgrade_and_die(url: str, statements: int) -> bool:
    """Upgrade in a child that is killed (-9) after so many statements; whether it was, before it came to the end."""
    child = os.fork()
    if child == 0:
        try:
            left = [statements]

            def count(*_: object) -> None:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            event.listen(Engine, "after_cursor_execute", count)
            Storage(url)
            os._exit(0)
        except BaseException:  # noqa: BLE001  # the child must not go on as a second pytest
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def test_an_upgrade_that_is_killed_leaves_the_old_tables(make_database: Callable[[], str], make_app: MakeApp) -> None:
    """Kill -9 after any statement: the database is wholly the old one, and the next start upgrades it."""
    url = make_database()
    restore(1, url)
    before = tables_in(url)
    # statement by statement in the beginning, where tables are dropped; then in strides
    for statements in [*range(1, 12), *range(12, 200, 7)]:
        if not upgrade_and_die(url, statements):
            break
        assert tables_in(url) == before
    else:
        pytest.fail("the upgrade never came to its end")
    assert statements > 20
    assert tables_in(url)["format"] == FORMAT
    assert make_app(database=url).test_client().get("/api/applications/u1").get_json()["name"] == "shop"


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A table in the way ends the start with the reason, and everything is as it was."""
    url = f"sqlite:///{tmp_path / 'one.sqlite3'}"
    restore(1, url)
    with sqlite3.connect(tmp_path / "one.sqlite3") as connection:
        connection.execute("CREATE TABLE index_projects (mine TEXT)")
    connection.close()
    before = tables_in(url)
    with pytest.raises(Exception, match="cannot use the database: table index_projects already exists"):
        Storage(url)
    assert tables_in(url) == before
