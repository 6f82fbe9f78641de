"""What pages ask the tables, on both databases: that which indexes make quick must tell the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import update

from envfab.collector.db import finding_queries, package_queries, usage_queries
from envfab.collector.db.schema import reports
from tests.collector.conftest import MakeApp, service_of
from tests.collector.jobs.test_vulnerabilities import RECORDS, write_export
from tests.collector.sending import register, report

LATER, EARLIER = 1_763_680_000_000, 1_763_000_000_000


@pytest.fixture
def app(make_app: MakeApp, database: str) -> Flask:
    """A collector that three users sent reports to, and one program without users."""
    app = make_app(database=database)
    client = app.test_client()
    sent = (("one", "anna"), ("one", "anna"), ("one", "bert"), ("two", "anna"), ("two", "carl"), ("three", None))
    for number, (program, user) in enumerate(sent):
        entries = [*([("user", user)] if user else []), ("n", str(number))]
        assert client.post(f"/reports/{program}/", data=report(*entries)).text == "stored"
    with service_of(app).storage.writing() as connection:
        connection.execute(update(reports).values(at=LATER))
        connection.execute(update(reports).where(reports.c.user == "carl").values(at=EARLIER))
    return app


@pytest.mark.parametrize(
    ("program", "since", "many"),
    [(None, 0, 3), (None, LATER, 2), ("one", 0, 2), ("two", 0, 2), ("two", LATER, 1), ("three", 0, 0), ("none", 0, 0)],
)
def test_users_are_counted_once(app: Flask, program: str | None, since: int, many: int) -> None:
    """Those who sent reports of a program, or of any, at a time or later."""
    with service_of(app).storage.reading() as connection:
        assert usage_queries.count_users(connection, program, since) == many


def test_programs_are_listed_with_their_reports(app: Flask) -> None:
    """How many each has, and when the last came."""
    with service_of(app).storage.reading() as connection:
        found = [(one.program, one.reports, one.last) for one in usage_queries.list_programs(connection)]
    assert found == [("one", 3, LATER), ("three", 1, LATER), ("two", 2, LATER)]


def test_packages_are_found_by_both_of_their_names(make_app: MakeApp, database: str) -> None:
    """By the canonical one, and as it is published, in any case."""
    app = make_app(database=database)
    register(app.test_client(), "u1", [("Flask_SQLAlchemy.Ext", "1.0"), ("other", "1.0")])
    with service_of(app).storage.reading() as connection:
        for text in ("flask-sqlalchemy-ext", "ASK_SQL", "alchemy.EXT", "sqlalchemy-e"):
            (line,) = package_queries.list_packages(connection, text=text)
            assert (line.name, line.shown_as) == ("flask-sqlalchemy-ext", "Flask_SQLAlchemy.Ext"), text
        assert package_queries.list_packages(connection, text="%") == ()
        assert len(package_queries.list_packages(connection, limit=1)) == 1


def test_vulnerable_packages_are_called_as_they_are_published(make_app: MakeApp, database: str, tmp_path: Path) -> None:
    """In the list of vulnerabilities, as the applications registered them."""
    app = make_app(database=database, osv=write_export(tmp_path / "all.zip", *RECORDS))
    register(app.test_client(), "u1", [("DJANGO", "5.1.3")])
    with service_of(app).storage.reading() as connection:
        lines = finding_queries.list_vulnerabilities(connection)
    assert lines
    assert {line.packages for line in lines} == {(("django", "DJANGO"),)}
    assert {line.applications for line in lines} == {1}
