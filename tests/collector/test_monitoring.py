"""`/healthz` and `/metrics`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, update

from envfab.collector import health
from envfab.collector.db.schema import FORMAT, formats
from envfab.collector.shared_counts import SharedCounts
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import put_rollout, register, report, rollout

TOKEN = "correct horse battery"


@pytest.fixture(autouse=True)
def look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember nothing."""
    monkeypatch.setattr(health, "KNOWN_FOR", 0.0)


def samples(exposition: str) -> dict[str, float]:
    """The values of metrics by name and labels: `name{a,b}`."""
    return {
        f"{one.name}{{{','.join(one.labels.values())}}}": one.value
        for family in text_string_to_metric_families(exposition)
        for one in family.samples
    }


def test_a_sound_collector_says_ok_without_a_token(make_app: MakeApp, database: str) -> None:
    """Also to names that are not of this machine, and not a word more."""
    client = make_app(database=database, tokens=(TOKEN,)).test_client()
    answer = client.get("/healthz", headers={"Host": "10.0.0.7"})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert client.get("/metrics").status_code == 401


def test_a_database_that_is_away(make_app: MakeApp, database: str) -> None:
    """503 with the reason in words, and 200 once it is back."""
    app = make_app(database=database)
    storage, client = service_of(app).storage, app.test_client()
    with storage.writing() as connection:
        connection.execute(text("ALTER TABLE envfab_format RENAME TO away"))
    answer = client.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (
        503, {"status": "unavailable", "problems": ["the database cannot be read or written"]},
    )  # fmt: skip
    with storage.writing() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO envfab_format"))
    assert client.get("/healthz").status_code == 200


def test_a_database_of_another_envfab(make_app: MakeApp, database: str) -> None:
    """A worker that was left behind by an upgrade says so."""
    app = make_app(database=database)
    with service_of(app).storage.writing() as connection:
        connection.execute(update(formats).values(format=FORMAT + 1))
    assert app.test_client().get("/healthz").get_json()["problems"] == ["the database has the tables of another envfab"]


def test_a_database_that_another_one_writes(make_app: MakeApp, database: str) -> None:
    """Is sound: writers wait for each other."""
    app = make_app(database=database)
    with service_of(app).storage.writing():
        assert app.test_client().get("/healthz").status_code == 200


def test_a_folder_that_cannot_be_written(make_app: MakeApp) -> None:
    """The reason is the system's."""
    app = make_app()
    reports = service_of(app).config.reports_folder
    reports.rename(reports.with_name("away"))
    assert app.test_client().get("/healthz").get_json()["problems"] == [
        "the folder of reports cannot be written: No such file or directory"
    ]


def test_it_looks_once_a_second(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is asked."""
    monkeypatch.setattr(health, "KNOWN_FOR", 60.0)
    app = make_app()
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    service_of(app).config.reports_folder.rmdir()
    assert client.get("/healthz").status_code == 200


def test_metrics_tell_what_came(make_app: MakeApp, database: str) -> None:
    """Requests, registrations and reports with their outcome, jobs, and sizes."""
    app = make_app(database=database, tokens=(TOKEN,), public_metrics=True)
    client = app.test_client()
    client.post("/application/register/", data=b"x", buffered=True)
    client.post("/reports/prog/", data=report(), buffered=True)
    put_rollout(client, rollout(), headers={"Authorization": f"Bearer {TOKEN}"}, buffered=True)
    put_rollout(client, rollout(), buffered=True)
    client.get("/rollouts", buffered=True)
    client.post("/reports/prog/", data=b"nonsense", buffered=True)
    client.get("/reports/prog/policy.json", buffered=True)
    client.post("/reports/prog/erase", data=b"nonsense", buffered=True)
    service_of(app).tidy()
    found = samples(client.get("/metrics").text)
    assert found["envfab_collector_request_seconds_count{about_reports}"] == 2
    assert found["envfab_collector_registrations_total{refused}"] == 1
    assert found["envfab_collector_reports_total{accepted}"] == 1
    assert found["envfab_collector_rollouts_total{accepted}"] == 1
    assert found["envfab_collector_rollouts_total{refused}"] == 1
    assert found["envfab_collector_reports_total{refused}"] == 1
    assert found["envfab_collector_requests_total{registrations,401}"] == 1
    assert found["envfab_collector_request_seconds_count{reports}"] == 2
    assert found["envfab_collector_request_seconds_bucket{reports,+Inf}"] == 2
    assert found["envfab_collector_rows{reports}"] == 1
    assert found["envfab_collector_database_bytes{}"] > 10_000
    assert time.time() - found["envfab_collector_job_success_timestamp_seconds{weeks}"] < 60
    assert found["envfab_collector_job_failures_total{weeks}"] == 0


def test_metrics_without_a_database(make_app: MakeApp, database: str) -> None:
    """All but the sizes are told, what failed meanwhile too."""
    app = make_app(database=database)
    client = app.test_client()
    with service_of(app).storage.writing() as connection:
        connection.execute(text("ALTER TABLE applications RENAME TO away"))
    assert client.get("/").text == "the database is not available just now\n"
    found = samples(client.get("/metrics").text)
    assert found["envfab_collector_requests_total{pages,503}"] == 1
    assert not [name for name in found if name.startswith(("envfab_collector_rows", "envfab_collector_database"))]


def test_a_job_that_fails_is_counted(make_app: MakeApp) -> None:
    """And the others are done."""
    app = make_app()
    service = service_of(app)
    with service.storage.writing() as connection:
        connection.execute(text("DROP TABLE behind_weeks"))
        connection.execute(text("CREATE TABLE behind_weeks (x INTEGER)"))
    service.tidy()
    found = samples(app.test_client().get("/metrics").text)
    assert found["envfab_collector_job_failures_total{weeks}"] == 1
    assert "envfab_collector_job_success_timestamp_seconds{weeks}" not in found
    assert "envfab_collector_job_success_timestamp_seconds{unfinished_reports}" in found


def test_workers_tell_the_same(make_app: MakeApp, tmp_path: Path) -> None:
    """What one counted another one tells, also when it has ended: counters never go back."""
    app = make_app(data=tmp_path / "shared")
    register(app.test_client())
    child = os.fork()
    if child == 0:
        counts = service_of(app).counts
        counts.add({("requests", "api", "200"): 5})
        counts.write()
        os._exit(0)
    os.waitpid(child, 0)
    for _ in range(2):
        found = samples(app.test_client().get("/metrics").text)
        assert found["envfab_collector_requests_total{api,200}"] == 5
        assert found["envfab_collector_registrations_total{accepted}"] == 1
        assert found["envfab_collector_processes{}"] == 1


def test_counts_that_cannot_be_written_break_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are this process's own then, and the log says why, once."""
    (tmp_path / "metrics").write_text("in the way")
    counts = SharedCounts(tmp_path / "metrics")
    counts.add({("a",): 1})
    numbers, processes = counts.total()
    assert (numbers.sums["a",], processes) == (1, 1)
    assert len(caplog.records) == 1
