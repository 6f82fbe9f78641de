"""What collectors were not told of earlier rollouts, sent again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envfab.config.events import Collector
from envfab.deployment.rollout_report.observer import place_of
from envfab.deployment.rollout_report.sending_again import send_unsent
from envfab.deployment.rollout_report.unsent import UnsentRollouts, collector_key, unsent_folder
from tests.deployment.rollout_report.made import ID
from tests.support.registration_server import RecordingServer, Reply, running_server

OLDEST, EARLIER = "20261118-214900-9f3a", "20261119-214900-9f3a"


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A collector that takes all that is put."""
    with running_server() as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user with an empty home."""
    return {"HOME": str(tmp_path)}


@pytest.fixture
def unsent(environment: dict[str, str]) -> UnsentRollouts:
    """The user's folder for what was not delivered."""
    return UnsentRollouts(unsent_folder(environment) or Path())


def address(server: RecordingServer) -> str:
    """The collector's address."""
    return server.url.partition("/application")[0]


def key(server: RecordingServer) -> str:
    """What files call the collector."""
    return collector_key("address", address(server))


def test_a_collector_that_fails_is_not_asked_again_in_a_run(
    server: RecordingServer, unsent: UnsentRollouts, environment: dict[str, str]
) -> None:
    """What is left for it stays; others get theirs."""
    with running_server() as broken:
        broken.answer = lambda _: Reply(b"", 500)
        for rollout in (OLDEST, EARLIER):
            unsent.keep(rollout, key(broken), b"{}")
            unsent.keep(rollout, key(server), b"{}")
        sent = list(send_unsent([Collector(address(broken)), Collector(address(server))], Path("/"), environment))
        assert [(one.rollout, one.collector, one.status) for one in sent] == [
            (OLDEST, address(broken), "kept"), (OLDEST, address(server), "sent"), (EARLIER, address(server), "sent"),
        ]  # fmt: skip
        assert unsent.waiting([key(broken), key(server)]) == [(OLDEST, key(broken)), (EARLIER, key(broken))]


def test_a_collector_whose_address_cannot_be_had_gets_it_once_it_can(
    server: RecordingServer, unsent: UnsentRollouts, environment: dict[str, str]
) -> None:
    """The document waits by the collector's place in the fabfile meanwhile."""
    variables: dict[str, str] = {}
    collector = Collector(lambda: variables["URL"])
    unsent.keep(ID, collector_key("place", place_of(Path("/fleet"), 0)), b"{}")
    (only,) = send_unsent([collector], Path("/fleet"), environment)
    assert (only.collector, only.status) == ("a collector", "kept")
    assert only.failure is not None
    assert only.failure.reason == "cannot read the address: KeyError: 'URL'"
    variables["URL"] = address(server)
    assert list(send_unsent([collector], Path("/another/fleet"), environment)) == []
    assert [one.status for one in send_unsent([collector], Path("/fleet"), environment)] == ["sent"]
    assert [request.path for request in server.requests] == [f"/rollouts/{ID}"]
    assert list(unsent._folder.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Path.mkdir, "cannot read {}: Is a directory"),
        (Path.touch, "{} has no content; remove it"),
        (os.mkfifo, "{} has no content; remove it"),
    ],
)
def test_what_cannot_be_read_is_not_sent(
    server: RecordingServer,
    unsent: UnsentRollouts,
    environment: dict[str, str],
    make: Callable[[Path], object],
    why: str,
) -> None:
    """It is told, and the rest is sent."""
    unsent.keep(EARLIER, key(server), b"{}")
    path = unsent._folder / f"{OLDEST}.{key(server)}.json"
    make(path)
    sent = list(send_unsent([Collector(address(server))], Path("/"), environment))
    assert [(one.rollout, one.status, one.failure and one.failure.reason) for one in sent] == [
        (OLDEST, "kept", why.format(path)), (EARLIER, "sent", None),
    ]  # fmt: skip


def test_what_is_refused_is_dropped_and_the_rest_is_sent(
    server: RecordingServer, unsent: UnsentRollouts, environment: dict[str, str]
) -> None:
    """With what the collector says; a user without a home has nothing that waits."""
    for rollout in (OLDEST, EARLIER):
        unsent.keep(rollout, key(server), b"{}")
    refused = Reply(b"no\n", 400, {"Content-Type": "text/plain"})
    server.answer = lambda request: refused if OLDEST in request.path else Reply()
    assert list(send_unsent([Collector(address(server))], Path("/"), {})) == []
    sent = list(send_unsent([Collector(address(server))], Path("/"), environment))
    assert [(one.rollout, one.status, one.failure and one.failure.reason) for one in sent] == [
        (OLDEST, "refused", "HTTP 400: no"), (EARLIER, "sent", None),
    ]  # fmt: skip
    assert unsent.waiting([key(server)]) == []
