"""Packages behind, week by week."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from envfab.collector.config import WheelhouseFolders
from envfab.collector.days import DAY, milliseconds_now, monday_of
from envfab.collector.db import behind_weeks as weeks
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import register
from tests.support.wheels import make_wheelhouse

WEEK = 7 * DAY


def test_weeks_begin_on_monday() -> None:
    """All times of a week are of the same week, from Monday's midnight to Sunday's."""
    monday = int(datetime(2026, 11, 16, tzinfo=timezone.utc).timestamp() * 1000)
    assert monday_of(monday) == monday // DAY
    assert monday_of(monday + WEEK - 1) == monday // DAY
    assert monday_of(monday - 1) == monday // DAY - 7


def test_weeks_are_noted(make_app: MakeApp, database: str, tmp_path: Path) -> None:
    """A week's last note stays; this week is as it is now, noted or not."""
    service = service_of(
        app := make_app(
            database=database, wheelhouse=WheelhouseFolders(*make_wheelhouse(tmp_path / "wheelhouse", 3, 2))
        )
    )
    client, now = app.test_client(), milliseconds_now()
    register(client, "u1", [(f"project-{number}", "1.0") for number in range(3)])
    register(client, "u2", [("project-0", "1.0")])
    with service.storage.writing() as connection:
        weeks.note(connection, now - 2 * WEEK)
    register(client, "u1", [(f"project-{number}", "1.1") for number in range(2)])
    with service.storage.writing() as connection:
        weeks.note(connection, now - WEEK)
        weeks.note(connection, now - WEEK)
    register(client, "u2", [("project-0", "1.1")])
    with service.storage.reading() as connection:
        found = weeks.list_weeks(connection, now)
    this = monday_of(now)
    assert [(one.week, one.packages, one.behind) for one in found] == [
        (this - 14, 4, 4),
        (this - 7, 3, 1),
        (this, 3, 0),
    ]
    assert "from 4 at" in client.get("/behind").text


def test_the_background_notes_the_week(make_app: MakeApp) -> None:
    """A round of the work in the background notes this week for all applications."""
    app = make_app()
    register(app.test_client(), "u1")
    service_of(app).tidy()
    with service_of(app).storage.reading() as connection:
        later = weeks.list_weeks(connection, milliseconds_now() + WEEK)
    assert [one.packages for one in later] == [2, 2]
