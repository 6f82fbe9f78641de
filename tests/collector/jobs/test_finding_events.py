"""Events of new findings: once a finding, over restarts, failures and kills."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from envfab.collector import service as parts
from envfab.collector.config import Config, from_environment
from envfab.collector.days import DAY, milliseconds_now
from envfab.collector.db.schema import event_deliveries, finding_events
from envfab.collector.jobs import finding_events as events
from envfab.config.events import Exec, Webhook
from envfab.errors import ConfigurationError
from envfab.receivers.webhook import WebhookSender, signature
from tests.collector.conftest import MakeApp, service_of
from tests.collector.jobs.test_vulnerabilities import RECORDS, record, write_export
from tests.collector.sending import register
from tests.support.registration_server import RecordingServer, Reply, running_server

Start = Callable[..., Flask]


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that takes all that is posted."""
    with running_server() as running:
        yield running


@pytest.fixture
def start(make_app: MakeApp, database: str, tmp_path: Path, server: RecordingServer) -> Start:
    """Starts a collector on the same data, each time anew, that tells the server of findings."""
    osv = write_export(tmp_path / "all.zip", *RECORDS)

    def started(**settings: Any) -> Flask:
        given: dict[str, Any] = {
            "receivers": (Webhook(server.url, secret="s3cret"),),
            "url": "https://inventory.example.org/",
        }
        return make_app(database=database, osv=osv, **(given | settings))

    return started


def told(server: RecordingServer) -> list[list[str]]:
    """The findings that each event told of."""
    bodies = [json.loads(request.body) for request in server.requests]
    return [
        [f"{one['vulnerability']['id']} {one['application']['uuid']}" for one in body["findings"]] for body in bodies
    ]


def make_due(app: Flask) -> None:
    """Let the time go by that what is not sent yet waits."""
    with service_of(app).storage.writing() as connection:
        connection.execute(update(event_deliveries).values(due_at=0))


def test_a_finding_is_told_once_over_restarts(start: Start, server: RecordingServer, tmp_path: Path) -> None:
    """All that is new together, with names, fix and address; then only what comes on top."""
    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    service_of(app).tidy()
    again = start()
    register(again.test_client(), "u1", [("Django", "5.1.2")])
    service_of(again).tidy()
    assert told(server) == [["CVE-2026-1 u1", "GHSA-2 u1"]] or told(server) == [["GHSA-2 u1", "CVE-2026-1 u1"]]
    register(again.test_client(), "u2", [("Django", "5.1.3")])
    write_export(tmp_path / "all.zip", *RECORDS, record("GHSA-9"))
    service_of(again).tidy()
    assert sorted(told(server)[1]) == ["CVE-2026-1 u2", "GHSA-2 u2", "GHSA-9 u1", "GHSA-9 u2"]
    service_of(again).tidy()
    assert len(server.requests) == 2
    body = json.loads(server.requests[0].body)
    assert (body["version"], body["kind"], body["more_findings"]) == (1, "finding.new", 0)
    one = next(one for one in body["findings"] if one["vulnerability"]["id"] == "CVE-2026-1")
    assert (one["package"], one["version"], one["fixed"]) == ("Django", "5.1.3", ["5.2"])
    assert one["url"] == "https://inventory.example.org/vulnerabilities/CVE-2026-1"


def test_an_event_is_signed_as_those_of_rollouts(start: Start, server: RecordingServer) -> None:
    """By its id, the time of the try, and its body."""
    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    service_of(app).tidy()
    (request,) = server.requests
    at = int(request.headers["webhook-timestamp"])
    name = json.loads(request.body)["id"]
    assert request.headers["webhook-id"] == name
    assert request.headers["webhook-signature"] == signature(b"s3cret", name, at, request.body)


def test_what_is_not_delivered_is_sent_again_later(start: Start, server: RecordingServer) -> None:
    """After a pause, also by another start, with the same id and findings; then no more."""
    server.answer = lambda _: Reply(status=500)
    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    service_of(app).tidy()
    service_of(app).tidy()
    assert len(server.requests) == 1
    server.answer = lambda _: Reply()
    again = start()
    make_due(again)
    service_of(again).tidy()
    service_of(again).tidy()
    first, second = (json.loads(request.body) for request in server.requests)
    assert first == second


@pytest.mark.parametrize(("status", "tries"), [(500, 2), (429, 2), (403, 1), (410, 1), (302, 1)])
def test_what_a_receiver_refuses_is_not_tried_every_hour(
    start: Start, server: RecordingServer, monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    """But once a day, since whoever runs it may mend that; what may be over a moment later is tried soon."""
    server.answer = lambda _: Reply(status=status, headers={"Location": "http://127.0.0.1:9/"})
    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    service_of(app).tidy()
    later = milliseconds_now() + 3_700_000
    monkeypatch.setattr(parts, "milliseconds_now", lambda: later)
    service_of(app).tidy()
    assert len(server.requests) == tries
    later += DAY
    service_of(app).tidy()
    assert len(server.requests) == tries + 1


def test_a_receiver_that_does_not_answer_costs_one_try_a_round(start: Start, server: RecordingServer) -> None:
    """However many events wait for it; each could cost a time-out, and the work in the background waits for it."""
    server.answer = lambda _: Reply(status=503)
    app = start()
    for number in range(3):
        register(app.test_client(), f"u{number}", [("Django", "5.1.3")])
        service_of(app).tidy()
    make_due(app)
    before = len(server.requests)
    service_of(app).tidy()
    assert len(server.requests) == before + 1
    server.answer = lambda _: Reply()
    make_due(app)
    service_of(app).tidy()
    assert len(server.requests) == before + 4


def test_a_receiver_that_answers_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte: after a while it counts as not delivered, and the work in the background goes on."""
    monkeypatch.setattr(events, "LONGEST_SENDING", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = start(receivers=(Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/"),))
        register(app.test_client(), "u1", [("Django", "5.1.3")])
        over = Event()
        dribbling = Thread(target=_dribble, args=(listener, over))
        dribbling.start()
        service_of(app).tidy()
        with service_of(app).storage.reading() as connection:
            assert connection.execute(select(event_deliveries.c.sent_at, event_deliveries.c.tries)).all() == [(None, 1)]
        over.set()
        dribbling.join()


def _dribble(listener: socket.socket, over: Event) -> None:
    """Send a header that does not end, until it is over."""
    connection, _ = listener.accept()
    with connection:
        while not over.wait(0.05):
            connection.sendall(b"H")


def test_old_events_are_deleted(start: Start, server: RecordingServer) -> None:
    """Their findings are not told again, and no number of an event is used twice, which SQLite would do."""
    app = start()
    for number in range(3):
        register(app.test_client(), f"u{number}", [("Django", "5.1.3")])
        service_of(app).tidy()
    with service_of(app).storage.writing() as connection:
        connection.execute(finding_events.update().values(at=finding_events.c.at - 8 * DAY))
    service_of(app).tidy()
    with service_of(app).storage.reading() as connection:
        for table in (finding_events, event_deliveries):
            assert len(connection.execute(select(table)).all()) == 1
    register(app.test_client(), "u9", [("Django", "5.1.3")])
    service_of(app).tidy()
    assert sorted(told(server)[-1]) == ["CVE-2026-1 u9", "GHSA-2 u9"]
    assert len(server.requests) == 4


def test_a_kill_after_the_sending_sends_it_again(
    start: Start, server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least once: with the id by which the receiver knows it."""
    send = WebhookSender.send

    def killed(sender: WebhookSender, event: Any) -> None:
        send(sender, event)
        raise SystemExit

    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    monkeypatch.setattr(WebhookSender, "send", killed)
    with pytest.raises(SystemExit):
        service_of(app).tidy()
    monkeypatch.setattr(WebhookSender, "send", send)
    again = start()
    service_of(again).tidy()
    assert len(server.requests) == 1, "another worker may be at it"
    make_due(again)
    service_of(again).tidy()
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1
    assert len(server.requests) == 2


def test_two_workers_tell_once(start: Start, server: RecordingServer) -> None:
    """Whichever comes first; the other finds nothing to do."""
    first, second = start(), start()
    register(first.test_client(), "u1", [("Django", "5.1.3")])
    service_of(first).tidy()
    service_of(second).tidy()
    assert len(server.requests) == 1


def test_each_receiver_gets_what_it_asks_for(start: Start, server: RecordingServer, tmp_path: Path) -> None:
    """One that fails keeps none of the others from it; those for other kinds get nothing."""
    receivers = (
        Exec(["false"]),
        Exec("cat > told.json", kinds=["finding.new"]),
        Exec("touch never", kinds=["drift.found"]),
        Webhook(server.url, format="slack"),
    )
    app = start(receivers=receivers, folder=tmp_path)
    register(app.test_client(), "u1", [("Django", "5.1.3")], app_name="<!channel>")
    service_of(app).tidy()
    assert len(json.loads((tmp_path / "told.json").read_text())["findings"]) == 2
    assert not (tmp_path / "never").exists()
    (request,) = server.requests
    lines = json.loads(request.body)["text"].splitlines()
    assert lines[0] == "*collector*: 2 new findings"
    assert "CVE-2026-1 (medium) in Django 5.1.3 of &lt;!channel&gt;, fixed in 5.2 https://inventory" in "\n".join(lines)


def test_what_nobody_takes_is_given_up_after_a_week(start: Start, server: RecordingServer) -> None:
    """What was mended meanwhile is not told for the first time then."""
    server.answer = lambda _: Reply(status=500)
    app = start()
    register(app.test_client(), "u1", [("Django", "5.1.3")])
    service_of(app).tidy()
    with service_of(app).storage.writing() as connection:
        connection.execute(finding_events.update().values(at=finding_events.c.at - 8 * DAY))
    make_due(app)
    service_of(app).tidy()
    assert len(server.requests) == 1


def test_a_webhook_by_variables(tmp_path: Path) -> None:
    """Address, secret and format."""
    said = {
        "DATA": str(tmp_path),
        "OPEN": "1",
        "WEBHOOK": "https://hooks.example.org/x",
        "WEBHOOK_SECRET": "s",
        "WEBHOOK_FORMAT": "slack",
    }
    config = configured(said)
    assert config.receivers == (Webhook("https://hooks.example.org/x", secret="s", format="slack"),)


def configured(said: dict[str, str]) -> Config:
    """What variables without their prefix say."""
    return from_environment({f"ENVFAB_COLLECTOR_{name}": value for name, value in said.items()})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"WEBHOOK": "ftp://secret"}, "ENVFAB_COLLECTOR_WEBHOOK: must be an http or https URL"),
        (
            {"WEBHOOK": "http://x", "WEBHOOK_SECRET": "whsec_!"},
            "ENVFAB_COLLECTOR_WEBHOOK_SECRET: must be Base64 after whsec_",
        ),
        (
            {"WEBHOOK": "http://x", "WEBHOOK_FORMAT": "xml"},
            "ENVFAB_COLLECTOR_WEBHOOK_FORMAT: must be one of json, slack, not 'xml'",
        ),
        ({"WEBHOOK_SECRET": "s3cret"}, "ENVFAB_COLLECTOR_WEBHOOK_SECRET: needs a webhook"),
        ({"URL": "inventory"}, "ENVFAB_COLLECTOR_URL: must be an http or https URL, not 'inventory'"),
    ],
)
def test_wrong_variables_are_told_without_secrets(tmp_path: Path, said: dict[str, str], message: str) -> None:
    """By their names, with what to do."""
    with pytest.raises(ConfigurationError) as caught:
        configured({"DATA": str(tmp_path), "OPEN": "1", **said})
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value).replace("WEBHOOK_SECRET", "")
