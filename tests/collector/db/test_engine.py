"""The database: formats, settings, several workers at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, inspect, select, text, update

from envfab.collector.db.engine import CollectorError, Storage
from envfab.collector.db.schema import FORMAT, applications, formats, installed
from envfab.errors import FormatError
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import register, report

LATER_TABLES = ("counters", "erasures", "erased_files", "published_weeks")
FORMAT_4 = ("digest", "siblings", "drift_packages", "drift_files", "drift_since", "drift")

FORMAT_6 = {
    "installed": ("latest_house", "latest_index", "compared"),
    "applications": ("compared", "unchecked"),
    "behind_weeks": ("compared",),
}
FORMAT_6_TABLES = (
    "event_deliveries", "finding_events", "findings", "sessions", "vulnerability_names", "vulnerabilities",
)  # fmt: skip


@pytest.fixture
def url(database: str, tmp_path: Path) -> str:
    """The URL of an empty database."""
    return database or f"sqlite:///{tmp_path / 'one.sqlite3'}"


def test_a_newer_format_is_refused(url: str) -> None:
    """A database that a newer envfab wrote is refused in two lines, and left as it is."""
    storage = Storage(url)
    with storage.writing() as connection:
        connection.execute(update(formats).values(format=FORMAT + 1))
    with pytest.raises(FormatError) as caught:
        Storage(url)
    assert str(caught.value) == (
        f"the collector's database has format {FORMAT + 1}; this envfab reads format {FORMAT}\n  upgrade envfab"
    )
    storage.close()


def test_format_1_is_migrated(url: str, make_app: MakeApp) -> None:
    """A database of format 1 gets what later formats added, and keeps what it had."""
    app = make_app(database=url)
    register(app.test_client(), "u1")
    app.test_client().post("/", data=report())
    storage = service_of(app).storage
    with storage.writing() as connection:
        connection.execute(text("DROP TABLE behind_weeks"))
        connection.execute(text("DROP TABLE index_projects"))
        connection.execute(text("DROP INDEX installed_by_version"))
        connection.execute(text("ALTER TABLE installed DROP COLUMN newer_index"))
        for name in ("vulnerable", *FORMAT_4):
            connection.execute(text(f"ALTER TABLE applications DROP COLUMN {name}"))
        connection.execute(text("CREATE INDEX installed_by_name ON installed (name)"))
        connection.execute(update(formats).values(format=1))
    again = make_app(database=url)
    service_of(again).tidy()
    found = again.test_client().get("/api/applications/u1").get_json()
    assert again.test_client().get("/api/usage").get_json()["reports"] == 1
    assert (found["vulnerable"], found["digest"], found["drift"]) == (None, None, None)
    assert [package["newer_index"] for package in found["installed"]] == [None, None]
    with service_of(again).storage.reading() as connection:
        assert connection.execute(select(formats.c.format)).scalar_one() == FORMAT
        for table in (installed, applications):
            columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
            assert columns == {column.name for column in table.columns}


def test_format_3_is_migrated(url: str, make_app: MakeApp) -> None:
    """Its applications stay readable, of them drift is not known, and the next registration tells it."""
    app = make_app(database=url)
    register(app.test_client(), "u1")
    with service_of(app).storage.writing() as connection:
        for name in FORMAT_4:
            connection.execute(text(f"ALTER TABLE applications DROP COLUMN {name}"))
        connection.execute(update(formats).values(format=3))
    client = make_app(database=url).test_client()
    assert client.get("/applications/u1", headers={"Accept": "text/html"}).status_code == 200
    assert client.get("/api/applications/u1").get_json()["drift"] is None
    register(client, "u1", digest="a" * 64)
    assert client.get("/api/applications/u1").get_json()["digest"] == "a" * 64


def test_format_4_is_migrated(url: str, make_app: MakeApp) -> None:
    """It gets the tables and indexes of later formats, which then are as those of a new database."""
    app = make_app(database=url)
    with service_of(app).storage.writing() as connection:
        new = _tables_and_indexes(connection)
        for table in LATER_TABLES:
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DROP INDEX reports_by_user"))
        connection.execute(text("ALTER TABLE reports DROP COLUMN proof"))
        connection.execute(update(formats).values(format=4))
    with service_of(make_app(database=url)).storage.reading() as connection:
        assert _tables_and_indexes(connection) == new


def _tables_and_indexes(connection: Connection) -> dict[str, set[str | None]]:
    """The names of columns and indexes, by table."""
    asked = inspect(connection)
    return {
        name: {one["name"] for one in (*asked.get_columns(name), *asked.get_indexes(name))}
        for name in asked.get_table_names()
    }


def test_format_5_is_migrated(url: str, make_app: MakeApp) -> None:
    """Of its packages nothing is known at first, and the work in the background finds out what there is to know."""
    app = make_app(database=url)
    register(app.test_client(), "u1")
    with service_of(app).storage.writing() as connection:
        connection.execute(text("DROP INDEX installed_by_version"))
        for table in FORMAT_6_TABLES:
            connection.execute(text(f"DROP TABLE {table}"))
        for table, names in FORMAT_6.items():
            for name in names:
                connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {name}"))
        connection.execute(text("CREATE INDEX installed_by_version ON installed (name, version)"))
        connection.execute(update(formats).values(format=5))
    again = make_app(database=url)
    with service_of(again).storage.reading() as connection:
        there = inspect(connection)
        assert set(FORMAT_6_TABLES) <= set(there.get_table_names())
        (index,) = there.get_indexes("installed")
        assert index["column_names"][-1] == "compared"
        assert connection.execute(select(applications.c.compared)).scalar_one() is None
    assert again.test_client().get("/api/applications/u1").get_json()["unknown"] == 2
    with service_of(again).storage.reading() as connection:
        assert connection.execute(select(applications.c.compared)).scalar_one() == 0


def test_workers_start_at_once(url: str) -> None:
    """Several workers that find an empty database make its tables once."""
    made: list[Storage] = []
    threads = [threading.Thread(target=lambda: made.append(Storage(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    with made[0].reading() as connection:
        assert connection.execute(select(formats.c.format)).scalars().all() == [FORMAT]
    for storage in made:
        storage.close()


def test_workers_register_at_once(url: str, make_app: MakeApp) -> None:
    """Two workers on one database take registrations of the same applications, and reports, without losing any."""
    workers = [make_app(database=url), make_app(database=url)]
    threads = [threading.Thread(target=_send, args=(worker, number)) for number, worker in enumerate(workers * 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = workers[0].test_client()
    listed = client.get("/api/applications").get_json()
    assert [one["uuid"] for one in listed] == [f"u{number}" for number in range(4)]
    for one in listed:
        versions = {
            package["version"] for package in client.get(f"/api/applications/{one['uuid']}").get_json()["installed"]
        }
        assert len(versions) == 1, "the packages are of one registration"
    assert client.get("/api/usage").get_json()["reports"] == 6 * 10


def _send(app: Flask, worker: int) -> None:
    client = app.test_client()
    for number in range(10):
        register(
            client, f"u{number % 4}", [(f"package-{other}", f"{worker}.{number}") for other in range(20)], app_name="x"
        )
        entries = [(f"key{other}", "same") for other in range(20)]
        assert client.post("/", data=report(*(entries if worker % 2 else reversed(entries)))).status_code == 200
        service_of(app).freshness.mark_all()


def test_sqlite_keeps_what_it_confirmed(tmp_path: Path) -> None:
    """The embedded database writes ahead, and syncs at every commit: a power cut takes nothing back."""
    storage = Storage(f"sqlite:///{tmp_path / 'one.sqlite3'}")
    with storage.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2
    storage.close()


def test_a_database_that_is_none(tmp_path: Path) -> None:
    """A file that is no database is told by its name."""
    path = tmp_path / "one.sqlite3"
    path.write_text("this is no database, and long enough to be sure of that" * 10)
    with pytest.raises(CollectorError, match=r"one\.sqlite3: cannot use the database: file is not a database"):
        Storage(f"sqlite:///{path}")


def test_a_database_that_goes_away(make_app: MakeApp) -> None:
    """While the database is away clients are told so in one line; reports are stored, and counted once it is back."""
    app = make_app()
    service, client = service_of(app), app.test_client()
    service.tidy()
    _rename(app, "applications", "usage_counts", end="_away")
    answer = client.get("/api/applications")
    assert (answer.status_code, answer.text) == (503, "the database is not available just now\n")
    assert client.post("/", data=report()).text == "stored"
    _rename(app, "applications_away", "usage_counts_away")
    service.tidy()
    assert client.get("/api/usage").get_json()["reports"] == 1


def _rename(app: Flask, *tables: str, end: str = "") -> None:
    with service_of(app).storage.writing() as connection:
        for table in tables:
            connection.execute(text(f"ALTER TABLE {table} RENAME TO {table.removesuffix('_away')}{end}"))
