"""The database: settings, several workers at once."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.pool import QueuePool

from envfab.collector.db import engine
from envfab.collector.db.engine import CollectorError, Storage
from envfab.collector.db.schema import FORMAT, formats
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import register, report


@pytest.fixture
def url(database: str, tmp_path: Path) -> str:
    """The URL of an empty database."""
    return database or f"sqlite:///{tmp_path / 'one.sqlite3'}"


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


def test_no_connection_is_there_to_be_forked(url: str, make_app: MakeApp) -> None:
    """An application that was just made holds none: workers that are forked off it would share it."""
    pool = service_of(make_app(database=url)).storage.engine.pool
    assert isinstance(pool, QueuePool)
    assert (pool.checkedin(), pool.checkedout()) == (0, 0)


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


def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told after a while; the driver alone would wait for two minutes."""
    monkeypatch.setattr(engine, "PATIENCE", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        with pytest.raises(CollectorError, match="cannot use the database: connection timeout expired"):
            Storage(f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/x")
        assert time.monotonic() - began < 30


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
