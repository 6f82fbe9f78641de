"""`/public/PROGRAM`: what anybody may see, once a week is over."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from envfab.collector.days import DAY, milliseconds_now, monday_of
from envfab.collector.db import published_weeks
from envfab.collector.jobs import public_weeks
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import report

TOKEN = ("12345678",)
WEEK = 7 * DAY


def fill(app: Flask, number: int, version: str = "1.0") -> None:
    """Send reports of as many users, with something that the policy does not name."""
    for user in range(number):
        body = report(("user", f"{version}-{user}"), ("version", version), ("secret", "hidden"))
        assert app.test_client().post("/reports/prog/", data=body).status_code == 200


def allow_versions(app: Flask) -> None:
    """Put a policy beside the reports."""
    told = {"format": 1, "program": "prog", "date": "2026-01-01", "keys": {"version": {"shape": "version"}}}
    path = service_of(app).folder.policy_path("prog")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(told))


def publish(app: Flask, later: int) -> None:
    """Do the work that is due so many milliseconds later."""
    service = service_of(app)
    public_weeks.publish(service.storage, service.folder, service.config.public, milliseconds_now() + later)


def test_a_finished_week(make_app: MakeApp, database: str) -> None:
    """Without a token it shows rounded numbers of installations, and nothing that the policy does not name."""
    app = make_app(database=database, tokens=TOKEN, public=("prog",))
    allow_versions(app)
    fill(app, 12)
    fill(app, 2, "0.9")
    publish(app, WEEK)
    answer = app.test_client().get("/public/prog")
    assert answer.status_code == 200
    assert '<th scope="row">1.0</th><td class="number">10</td>' in answer.text
    for hidden in ("secret", "0.9", "1.0-3", "14"):
        assert hidden not in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_running_week_is_not_shown(make_app: MakeApp) -> None:
    """What came in this week is shown when it is over."""
    app = make_app(public=("prog",))
    fill(app, 12)
    publish(app, 0)
    text = app.test_client().get("/public/prog").text
    assert "fewer than 5" in text
    assert '<td class="number">10</td>' not in text


def test_a_week_is_published_once(make_app: MakeApp) -> None:
    """What comes, or is erased, after a week was published changes nothing of it, so that no difference is seen."""
    app = make_app(public=("prog",))
    fill(app, 10)
    publish(app, WEEK)
    before = app.test_client().get("/public/prog").text
    fill(app, 30, "2.0")
    publish(app, WEEK)
    assert app.test_client().get("/public/prog").text == before
    assert '<td class="number">10</td>' in before


def test_soon_after_its_end(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A week is published an hour after its end, when all that came is indexed."""
    app = make_app(public=("prog",))
    asked: list[int] = []

    def note(_connection: object, _program: str, week: int) -> bool:
        asked.append(week)
        return True

    monkeypatch.setattr(published_weeks, "is_published", note)
    monday = monday_of(milliseconds_now()) * DAY
    service = service_of(app)
    for later in (0, public_weeks.AFTER - 1, public_weeks.AFTER):
        public_weeks.publish(service.storage, service.folder, ("prog",), monday + later)
    assert [monday // DAY - week for week in asked] == [14, 14, 7]


def test_programs_that_are_not_public(make_app: MakeApp) -> None:
    """Of other programs nothing is told, not even whether they report."""
    app = make_app(tokens=TOKEN, public=("prog",))
    fill(app, 6)
    for program in ("other", "", "..", "prog/x"):
        assert app.test_client().get(f"/public/{program}").status_code in (401, 404)
    assert make_app(tokens=TOKEN).test_client().get("/public/prog").status_code == 404


def test_nothing_is_published_with_a_policy_that_cannot_be_read(make_app: MakeApp) -> None:
    """What the policy hides is not shown since the policy is broken; the week is published when it is mended."""
    app = make_app(public=("prog",))
    fill(app, 10)
    service_of(app).folder.policy_path("prog").write_text("{")
    publish(app, WEEK)
    assert "No week is published yet" in app.test_client().get("/public/prog").text
    allow_versions(app)
    publish(app, WEEK)
    assert '<th scope="row">1.0</th><td class="number">10</td>' in app.test_client().get("/public/prog").text


def test_the_work_in_the_background_publishes(make_app: MakeApp) -> None:
    """A collector publishes by itself; before the first reports there are fewer than five installations."""
    app = make_app(public=("prog",))
    service_of(app).tidy()
    assert "Fewer than 5 installations" in app.test_client().get("/public/prog").text
