"""What is not known is told as such, and counted apart: on pages, in the feed and in JSON."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from envfab.audit.end_of_life import ENDS
from envfab.collector.config import WheelhouseFolders
from envfab.collector.days import milliseconds_now
from envfab.collector.db import behind_weeks as weeks
from envfab.collector.db.schema import behind_weeks
from tests.collector.conftest import MakeApp, service_of
from tests.collector.jobs.test_vulnerabilities import record, write_export
from tests.collector.sending import register
from tests.support.wheels import make_wheelhouse

# one that is behind, one that is current, one with a strange version, and one that the wheelhouse lacks
PACKAGES = [("project-0", "1.0"), ("project-1", "1.1"), ("project-2", "trunk"), ("absent", "1.0")]


@pytest.fixture
def app(make_app: MakeApp, database: str, tmp_path: Path) -> Flask:
    """A collector with a wheelhouse of three projects, on each database, and one application."""
    app = make_app(database=database, wheelhouse=WheelhouseFolders(*make_wheelhouse(tmp_path / "house", 3, 2)))
    register(app.test_client(), "u1", PACKAGES)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of it."""
    return app.test_client()


def words(text: str) -> str:
    """The text of a page, without its tags."""
    return " ".join(re.sub("<[^>]+>", " ", text).split()).replace(" ,", ",")


def row(page: str, name: str) -> str:
    """The row of a table that begins with a name."""
    rows = map(words, re.findall("<tr.*?</tr>", page, re.DOTALL))
    return next(text for text in rows if text.startswith(f"{name} "))


def test_a_package_that_the_wheelhouse_lacks_is_not_in_the_wheelhouse(client: FlaskClient) -> None:
    """Nothing newer is said only of what could be compared."""
    page = client.get("/applications/u1").text
    assert row(page, "project-0").endswith("1.0 1.1")
    assert row(page, "project-1").endswith("nothing newer")
    assert row(page, "project-2").endswith("cannot be compared with 1.1")
    assert row(page, "absent").endswith("not in the wheelhouse")
    assert "not in the wheelhouse" in row(client.get("/packages/absent").text, "shop")


def test_known_and_unknown_are_counted_apart(client: FlaskClient) -> None:
    """In the list, of an application, of packages, in the figures, in the feed, and in JSON."""
    register(client, "u2", [("absent", "1.0")], app_name="blog")
    assert "1 of 4 packages is behind, 2 not known" in words(client.get("/applications/u1").text)
    listed = words(client.get("/").text)
    assert "1 packages behind in all 3 not known" in listed
    assert "not known whether 1 package is behind" in listed
    assert row(client.get("/packages/").text, "absent") == "absent 2 1 - 2"
    assert "3 packages not known" in words(client.get("/behind").text)
    assert "1 of 4 packages behind now, 2 not known" in client.get("/feed.atom").text
    told = {one["uuid"]: (one["behind"], one["unknown"]) for one in client.get("/api/applications").get_json()}
    assert told == {"u1": (1, 2), "u2": (0, 1)}
    installed = client.get("/api/applications/u1").get_json()["installed"]
    assert {one["name"]: (one["compared"], one["latest_house"]) for one in installed} == {
        "project-0": (True, "1.1"),
        "project-1": (True, "1.1"),
        "project-2": (False, "1.1"),
        "absent": (False, None),
    }


def test_filters_find_what_is_not_known(client: FlaskClient) -> None:
    """Applications and packages, each alone."""
    register(client, "u2", [("project-1", "1.1")], app_name="blog")
    found = client.get("/?only=unknown").text
    assert (">shop</a>" in found, ">blog</a>" in found) == (True, False)
    found = client.get("/packages/?only=unknown").text
    assert (">absent</a>" in found, ">project-2</a>" in found, ">project-1</a>" in found) == (True, True, False)


def test_a_week_tells_what_was_not_known(app: Flask, client: FlaskClient) -> None:
    """Beside what was behind; weeks that an older envfab noted say that they do not."""
    service, now = service_of(app), milliseconds_now()
    with service.storage.writing() as connection:
        weeks.note(connection, now - 7 * 86_400_000)
        connection.execute(behind_weeks.update().values(compared=None))
    with service.storage.reading() as connection:
        assert [(one.behind, one.unknown) for one in weeks.list_weeks(connection, now)] == [(1, None), (1, 2)]
    page = words(client.get("/behind").text)
    assert "1 not noted" in page
    assert "; dashed: not known, 2 at the end" in client.get("/behind").text


def test_a_wheelhouse_that_cannot_be_read_is_not_known(make_app: MakeApp, tmp_path: Path) -> None:
    """A package is not called absent from a wheelhouse that nothing could be looked up in."""
    wheels, log = make_wheelhouse(tmp_path / "house", 1, 1)
    log.unlink()
    log.mkdir()
    client = make_app(wheelhouse=WheelhouseFolders(wheels, log)).test_client()
    register(client, "u1", [("project-0", "1.0")])
    page = client.get("/applications/u1").text
    assert "The wheelhouse cannot be read just now" in page
    assert row(page, "project-0").endswith("not known")


def test_without_wheelhouse_and_index_nothing_is_known(make_app: MakeApp) -> None:
    """Not even that something is up to date."""
    client = make_app().test_client()
    register(client, "u1", [("project-0", "1.0")])
    page = client.get("/applications/u1").text
    assert "not known whether 1 package is behind" in words(page)
    assert "neither a wheelhouse nor an index" in page


def test_versions_that_are_none_are_told_as_not_compared(make_app: MakeApp, tmp_path: Path) -> None:
    """With vulnerabilities, too: their number is there beside the known ones, and their names on the page."""
    osv = write_export(tmp_path / "all.zip", record("GHSA-1"))
    client = make_app(osv=osv).test_client()
    register(client, "u1", [("Django", "trunk"), ("other", "1.0")])
    assert "no known vulnerability, 1 not compared" in words(client.get("/").text)
    page = words(client.get("/applications/u1").text)
    assert "1 package has a version that PEP 440 does not know, and was not compared: Django trunk" in page
    assert client.get("/api/applications").get_json()[0]["unchecked"] == 1


def test_an_interpreter_past_its_end_of_life_is_marked_everywhere(client: FlaskClient) -> None:
    """In the list, on its page, on those of its packages, in search, in JSON; and a filter finds it, and only it."""
    register(client, "u38", PACKAGES, app_name="oldest", app_type="python-3.8.20", digest="a" * 64)
    mark = f"end of life {ENDS['3.8']}"
    for path in ("/", "/applications/u38", "/packages/absent", "/search?q=oldest"):
        assert mark in words(client.get(path).text), path
    assert mark not in words(client.get("/applications/u1").text)
    assert words(client.get("/applications/u38").text).count(mark) == 2
    found = client.get("/?only=ended").text
    assert (">oldest</a>" in found, ">shop</a>" in found) == (True, False)
    told = {one["uuid"]: one["end_of_life"] for one in client.get("/api/applications").get_json()}
    assert told == {"u1": None, "u38": ENDS["3.8"].isoformat()}
    assert "<strong>1</strong> with an interpreter past its end of life" in client.get("/").text


def test_python_3_1_is_not_3_10(client: FlaskClient) -> None:
    """A feature version is compared as a whole."""
    register(client, "u314", [], app_name="newest", app_type="python-3.14.0")
    assert ">newest</a>" not in client.get("/?only=ended").text
