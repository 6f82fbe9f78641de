"""Delivery: nothing waits for a receiver, and what was not delivered is told once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab.config.events import BEGUN, ENDED, ROLLED_BACK, VIRTUALENV_FAILED, Exec, Webhook
from envfab.deployment.events.delivery import EventDelivery
from envfab.deployment.events.event import Event, EventVirtualenv, Source
from envfab.receivers.command import CommandSender
from envfab.receivers.undelivered import Undelivered
from envfab.util.progress import Silent
from tests.support.registration_server import RecordingServer, Reply, Request, running_server

SOURCE = Source("deploy", "anna", "laptop", "20261120-214900-9f3a")


class Warnings(Silent):
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.found.append(message)


def event(kind: str, number: int = 1) -> Event:
    """An event of one virtualenv."""
    return Event(kind, SOURCE, (EventVirtualenv(f"shop@web{number}:/v", "failed"),), total=1)


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that takes all that is posted."""
    with running_server() as running:
        yield running


def kinds(server: RecordingServer) -> list[str]:
    """The kinds of the events that came."""
    return [json.loads(request.body)["kind"] for request in server.requests]


def test_events_come_in_order_and_only_the_kinds_that_are_wanted(server: RecordingServer, tmp_path: Path) -> None:
    """Nothing is told if all are delivered."""
    told = Warnings()
    delivery = EventDelivery([Webhook(server.url, kinds=[BEGUN, ENDED])], tmp_path, told)
    for kind in (BEGUN, VIRTUALENV_FAILED, ENDED):
        delivery.send(event(kind))
    delivery.close(time.monotonic() + 10)
    assert (kinds(server), told.found) == ([BEGUN, ENDED], [])


def test_a_busy_server_is_tried_three_times(server: RecordingServer, tmp_path: Path) -> None:
    """With the same id each time, and pauses between; the third answer counts."""
    answers = iter([500, 503, 204])
    server.answer = lambda _: Reply(status=next(answers), body=b"")
    told = Warnings()
    delivery = EventDelivery([Webhook(server.url)], tmp_path, told)
    began = time.monotonic()
    delivery.send(event(BEGUN))
    delivery.close(time.monotonic() + 10)
    assert time.monotonic() - began >= 1.2
    assert len({json.loads(request.body)["id"] for request in server.requests}) == 1
    assert (len(server.requests), told.found) == (3, [])


def test_all_that_was_not_delivered_is_one_warning(server: RecordingServer, tmp_path: Path) -> None:
    """A line for each receiver, with the reasons, and within the time; a slow one holds up no other."""

    def answer(request: Request) -> Reply:
        if request.path.endswith("hang"):
            return server.slow(request)
        return Reply(status=404 if request.path.endswith("gone") else 500)

    server.answer = answer
    told = Warnings()
    receivers = [Webhook(f"{server.url}{name}") for name in ("hang", "gone", "broken")]
    delivery = EventDelivery([*receivers, Exec("exit 3")], tmp_path, told)
    for kind in (BEGUN, ENDED):
        delivery.send(event(kind))
    began = time.monotonic()
    delivery.close(began + 1.7)
    assert time.monotonic() - began < 2.2
    assert told.found == [
        "127.0.0.1: 2 events not delivered: no answer in time\n"
        "  127.0.0.1: 2 events not delivered: HTTP 404\n"
        "  127.0.0.1: 2 events not delivered: HTTP 500; no answer in time\n"
        "  exit: 2 events not delivered: exit status 3"
    ]


def test_failures_that_wait_for_a_slow_receiver_become_one_event(server: RecordingServer, tmp_path: Path) -> None:
    """1,000 of them; it names the first, and tells how many more there are."""
    free = threading.Event()

    def answer(_request: Request) -> Reply:
        free.wait(20)
        return Reply()

    server.answer = answer
    delivery = EventDelivery([Webhook(server.url)], tmp_path, Silent())
    delivery.send(event(BEGUN))
    while not server.requests:
        time.sleep(0.01)
    for number in range(1000):
        delivery.send(event(VIRTUALENV_FAILED, number))
        delivery.send(event(ROLLED_BACK, number))
    free.set()
    delivery.close(time.monotonic() + 20)
    came = [json.loads(request.body) for request in server.requests]
    assert [one["kind"] for one in came] == [BEGUN, VIRTUALENV_FAILED, ROLLED_BACK]
    assert [(len(one["virtualenvs"]), one["more_virtualenvs"]) for one in came[1:]] == [(100, 900)] * 2
    assert came[1]["virtualenvs"][99]["target"] == "shop@web99:/v"


def test_a_command_gets_the_event_on_standard_input(tmp_path: Path) -> None:
    """In the fabfile's folder, by a shell for text, without one for a list."""
    one = event(BEGUN)
    CommandSender(Exec("cat > $(echo by-shell)"), tmp_path).send(one)
    CommandSender(Exec(["cp", "/dev/stdin", "$(echo by)"]), tmp_path).send(one)
    assert json.loads((tmp_path / "by-shell").read_text()) == one.to_json()
    assert json.loads((tmp_path / "$(echo by)").read_text()) == one.to_json()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo no mail server; exit 7", "exit status 7: no mail server"),
        ("exec sleep 30", "it did not end within 0.2 s"),
        (["./nothing"], "cannot run it: No such file or directory"),
    ],
)
def test_a_command_that_fails_is_a_reason(
    tmp_path: Path, command: str | list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is not run again: what it did, it did."""
    monkeypatch.setattr("envfab.receivers.command.LIMIT", 0.2)
    with pytest.raises(Undelivered) as caught:
        CommandSender(Exec(command), tmp_path).send(event(BEGUN))
    assert (caught.value.reason, caught.value.again) == (reason, False)
