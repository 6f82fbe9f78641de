"""`POST …/erase`: all reports under an id go, for whoever has the secret."""

from __future__ import annotations

import hmac
import logging
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from envfab.collector import erase_reports
from envfab.collector.days import DAY, milliseconds_now
from envfab.collector.db import usage_reports
from envfab.collector.db.erasures import REMEMBERED, forget_erasures, note_erasure
from envfab.collector.db.schema import counters, erased_files, erasures, reports, usage_counts
from envfab.usagestats.erasure import format_request, proof_of
from tests.collector.conftest import MakeApp, service_of
from tests.collector.sending import make_undeletable, report

MINE, OTHERS = "a" * 64, "b" * 64
ID = "40a68403-7390-4e4e-aa87-5f20ddd8f62f"


def send(client: FlaskClient, secret: str | None = MINE, user: str = ID, program: str = "prog") -> str:
    """Send a report under an id; the answer."""
    proof = [] if secret is None else [("erasure", proof_of(secret))]
    body = report(("user", user), ("version", "1"), ("count.opened", "3 pdf"), *proof)
    return client.post(f"/reports/{program}/", data=body).text


def ask(client: FlaskClient, secret: str = MINE, user: str = ID, program: str = "prog") -> TestResponse:
    """Ask to erase what is under an id."""
    return client.post(f"/reports/{program}/erase", data=format_request(user, secret), content_type="text/plain")


def files(app: Flask) -> list[Path]:
    """All files of reports."""
    return sorted(path for path in service_of(app).folder.root.rglob("*") if path.is_file())


def rows(app: Flask, table: Any) -> int:
    """How many rows a table has."""
    with service_of(app).storage.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def counted(app: Flask) -> set[int]:
    """How often things were counted, and the sums of counters."""
    with service_of(app).storage.reading() as connection:
        found = set(connection.execute(select(usage_counts.c.reports)).scalars())
        return found | set(connection.execute(select(counters.c.total)).scalars())


def test_files_and_rows_go(make_app: MakeApp, database: str) -> None:
    """The answer says how many; reports of others, and under the id at other programs, stay, and so do their counts."""
    app = make_app(database=database, tokens=("12345678",))
    client = app.test_client()
    for _ in range(3):
        send(client)
    send(client, OTHERS, "another")
    send(client, program="other")
    answer = ask(client)
    assert (answer.status_code, answer.text) == (200, "erased:3\n")
    assert sorted(path.parent.name for path in files(app)) == ["other", "prog"]
    assert rows(app, reports) == 2
    assert counted(app) == {1, 3}
    assert rows(app, erased_files) == 0


def test_nothing_of_the_id_is_left(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the database nor the log has the id or the secret afterwards."""
    caplog.set_level(logging.DEBUG)
    app = make_app()
    send(app.test_client())
    ask(app.test_client())
    service_of(app).storage.close()
    kept = b"".join(path.read_bytes() for path in service_of(app).config.data.rglob("*") if path.is_file())
    with service_of(app).storage.reading() as connection:
        told = str([connection.execute(select(table)).all() for table in (reports, usage_counts, erasures)])
    for text in (ID, MINE):
        assert text not in caplog.text
        assert text not in told
    assert b"submitted_from" not in kept


def test_a_wrong_secret(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, after comparing every hash in constant time, and nothing changes."""
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    app = make_app()
    send(app.test_client())
    send(app.test_client(), "c" * 64)
    answer = ask(app.test_client(), OTHERS)
    assert (answer.status_code, answer.text) == (
        403,
        "the reports under this id do not carry the hash of this secret\n",
    )
    assert {pair[0] for pair in compared} == {proof_of(OTHERS).encode()}
    assert len(compared) == 2
    assert (len(files(app)), rows(app, erasures)) == (2, 0)


def test_a_replay(make_app: MakeApp) -> None:
    """The same request again erases nothing; the hash itself is not a secret that opens anything."""
    client = make_app().test_client()
    send(client)
    assert ask(client, proof_of(MINE)).status_code == 403
    assert [ask(client).text for _ in range(3)] == ["erased:1\n", "erased:0\n", "erased:0\n"]
    assert ask(client, OTHERS).status_code == 403


def test_an_unknown_id(make_app: MakeApp) -> None:
    """Nothing is erased, and nothing is remembered of it."""
    app = make_app()
    assert ask(app.test_client()).text == "erased:0\n"
    assert rows(app, erasures) == 0


def test_reports_that_come_later(make_app: MakeApp, database: str) -> None:
    """A report from another queue is deleted at once, with a success, so that its client does not try again."""
    app = make_app(database=database)
    client = app.test_client()
    send(client)
    ask(client)
    for secret in (MINE, None):
        assert send(client, secret) == "not stored: reports under this id were erased"
    assert (files(app), rows(app, reports)) == ([], 0)
    assert send(client, MINE, "another") == "stored"


def test_they_are_remembered_for_a_while(make_app: MakeApp) -> None:
    """After 180 days what was erased is forgotten."""
    app = make_app()
    send(app.test_client())
    ask(app.test_client())
    with service_of(app).storage.writing() as connection:
        forget_erasures(connection, milliseconds_now() + REMEMBERED - 60_000)
    assert rows(app, erasures) == 1
    with service_of(app).storage.writing() as connection:
        forget_erasures(connection, milliseconds_now() + REMEMBERED + 60_000)
    assert rows(app, erasures) == 0


def test_reports_of_older_clients(make_app: MakeApp) -> None:
    """Reports without a hash go with those that have it, unless two different ones are under the id."""
    app = make_app()
    client = app.test_client()
    send(client, None)
    assert ask(client).status_code == 403
    send(client)
    assert ask(client).text == "erased:2\n"
    send(client, None, "two")
    send(client, MINE, "two")
    send(client, OTHERS, "two")
    assert ask(client, MINE, "two").text == "erased:1\n"
    assert len(files(app)) == 2


def test_nobody_is_silenced(make_app: MakeApp) -> None:
    """Who knows an id, and erases reports of their own under it, does not keep out its owner's."""
    client = make_app().test_client()
    send(client, OTHERS)
    ask(client, OTHERS)
    assert send(client, MINE) == "stored"


def test_a_report_that_is_being_indexed(make_app: MakeApp, database: str) -> None:
    """An erasure waits for it, and erases it, too; one that is indexed after the erasure was noted does not stay."""
    app = make_app(database=database)
    service = service_of(app)
    send(app.test_client())
    mine = report(("user", ID), ("erasure", proof_of(MINE)))
    stored = service.folder.store(mine, "prog", "")
    # of another day, so that no row of what is counted is written by both
    stored = replace(stored, at=stored.at - 3 * DAY)
    answers: list[str] = []
    asking = Thread(target=lambda: answers.append(ask(app.test_client()).text))
    with service.storage.writing() as connection:
        assert usage_reports.index(connection, stored, stored.parsed())
        asking.start()
        asking.join(0.3)
    asking.join()
    assert answers == ["erased:2\n"]
    assert files(app) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_file_that_cannot_be_deleted(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """It keeps no other from being deleted; the erasure is not confirmed, and ends with a later attempt."""
    app = make_app()
    for _ in range(3):
        send(app.test_client())
    bad = files(app)[number]
    with monkeypatch.context() as patch:
        make_undeletable(patch, bad)
        assert ask(app.test_client()).status_code == 503
        assert files(app) == [bad]
    assert ask(app.test_client()).text == "erased:1\n"
    assert (files(app), rows(app, erased_files)) == ([], 0)


class TestCutOff:
    """Killed at any point, the next attempt or the work in the background ends it."""

    def cut_off(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        """Send three reports, and stop after the rows of their erasure were deleted, with one file gone."""
        for _ in range(3):
            send(app.test_client())
        folder, left = service_of(app).folder, [1]
        delete = folder.delete

        def stop(program: str, file: str) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            delete(program, file)

        with monkeypatch.context() as patch:
            patch.setattr(folder, "delete", stop)
            with pytest.raises(KeyboardInterrupt):
                ask(app.test_client())
        assert (len(files(app)), rows(app, reports)) == (2, 0)

    def test_the_next_attempt(self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
        """It deletes what is left, and counts it."""
        app = make_app()
        self.cut_off(app, monkeypatch)
        assert ask(app.test_client()).text == "erased:2\n"
        assert files(app) == []

    def test_the_work_in_the_background(self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
        """It deletes what is left, and indexes none of it."""
        app = make_app()
        self.cut_off(app, monkeypatch)
        service_of(app).tidy()
        assert (files(app), rows(app, reports), counted(app)) == ([], 0, set())

    def test_between_two_batches(self, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the first transactions left is erased by the next attempt, which knows the proof from the first."""
        app = make_app()
        send(app.test_client(), None)
        send(app.test_client())
        monkeypatch.setattr(erase_reports, "_BATCH", 1)
        with monkeypatch.context() as patch:
            calls: list[int] = []

            def stop(*arguments: Any) -> None:
                calls.append(1)
                if len(calls) > 1:
                    raise KeyboardInterrupt
                note_erasure(*arguments)

            patch.setattr(erase_reports, "note_erasure", stop)
            with pytest.raises(KeyboardInterrupt):
                ask(app.test_client())
        assert rows(app, reports) == 1
        assert ask(app.test_client()).text == "erased:2\n"
        assert files(app) == []


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 411), (b"user:a\n", 400), (b"\xff\x00", 400), (b"user:" + b"a" * 2000, 413)]
)
def test_nonsense(make_app: MakeApp, body: bytes, status: int) -> None:
    """What is no request is refused in one line that echoes nothing."""
    answer = make_app().test_client().post("/erase", data=body, content_type="text/plain")
    assert (answer.status_code, answer.text.count("\n")) == (status, 1)


def test_odd_proofs_in_reports(make_app: MakeApp) -> None:
    """A hash that is no text of ASCII is one that nobody has the secret of."""
    client = make_app().test_client()
    client.post("/reports/prog/", data=report(("user", ID), ("erasure", "ä€"), ("erasure", "")))
    assert ask(client).status_code == 403


def test_the_proof_is_not_shown_as_a_key(make_app: MakeApp) -> None:
    """The hash, which stands for a user, is on no page but that of its report."""
    client = make_app().test_client()
    send(client)
    assert "erasure" not in client.get("/usage").text
    assert proof_of(MINE) not in client.get("/usage.csv").text
