"""Applications on both databases, without a server where HTTP is not the point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from envfab.collector.app import create_app
from envfab.collector.config import Config
from envfab.collector.service import Service
from tests.support.postgres import Postgres
from tests.support.wheels import make_wheelhouse

MakeApp = Callable[..., Flask]
FABFILE = "from envfab import Fleet, collection\nns = collection(Fleet())\n"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database; for SQLite it is the default, which has no URL."""
    if request.param == "sqlite":
        return ""
    server: Postgres = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Makes applications: `make_app(database=…, tokens=…)`; open, and without work in the background."""
    made: list[Flask] = []

    def make(**settings: object) -> Flask:
        given: dict[str, object] = {"data": tmp_path / "collector", "open": not settings.get("tokens"), "rest": None}
        app = create_app(Config(**(given | settings)))  # type: ignore[arg-type]  # whatever the test says
        app.testing = False  # errors become answers, as they do for clients
        made.append(app)
        return app

    yield make
    for app in made:
        service_of(app).storage.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a fabfile and a wheelhouse."""
    (tmp_path / "fabfile.py").write_text(FABFILE, encoding="utf-8")
    make_wheelhouse(tmp_path, 1, 2)
    return tmp_path


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An open application on SQLite."""
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of `app`."""
    return app.test_client()


def service_of(app: Flask) -> Service:
    """What an application works with."""
    service: Service = app.extensions["envfab"]
    return service
