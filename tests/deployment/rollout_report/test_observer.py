"""What collectors are told of a rollout, over real HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envfab.config.events import Collector
from envfab.deployment.observers import (
    HURRY,
    PATIENCE,
    CommandEnded,
    DeploymentBegan,
    DeploymentEnded,
    RolloutBegan,
    RolloutEnded,
)
from envfab.deployment.result import Deployment, Ending
from envfab.deployment.rollout_report import observer as module
from envfab.deployment.rollout_report.observer import CollectorObserver, place_of
from envfab.deployment.rollout_report.unsent import UnsentRollouts, collector_key, unsent_folder
from envfab.models.rollout_document import RolloutDocument, rollout_from_json
from tests.deployment.rollout_report.made import ID, Warnings, ended, many, proposal, report, target
from tests.support.registration_server import RecordingServer, Reply, Request, running_server

OLDEST, EARLIER = "20261118-214900-9f3a", "20261119-214900-9f3a"
TEXT = {"Content-Type": "text/plain"}
ONES = [proposal(1), proposal(2)]


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


def told(server: RecordingServer, rollout: str = ID) -> list[RolloutDocument]:
    """The documents of a rollout that came, as a collector reads them."""
    mine = [one for one in server.requests if one.path == f"/rollouts/{rollout}"]
    return [rollout_from_json(json.loads(one.body)) for one in mine]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


class Watched:
    """A rollout of two virtualenvs that is observed, and what is told of that."""

    def __init__(self, unsent: UnsentRollouts | None, *collectors: Collector) -> None:
        self.warnings = Warnings()
        self.observer = CollectorObserver(report(), collectors, unsent, Path("/fleet"), self.warnings)

    def begin(self) -> None:
        """Begin it."""
        self.observer.hear(RolloutBegan(ONES, ONES))

    def end(self, *results: Deployment, given_up: bool = False) -> None:
        """End it."""
        results = results or (ended(ONES[0], 1), ended(ONES[1], 2))
        failed = any(one.ending is Ending.FAILED for one in results)
        self.observer.hear(RolloutEnded(results, 2.5, failed, given_up))

    def close(self, patience: float = PATIENCE) -> float:
        """Let the observer finish; return how many seconds that took."""
        began = time.monotonic()
        self.observer.close(began + patience)
        return time.monotonic() - began


def test_a_rollout_is_told_when_it_begins_and_when_it_ends(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """What lies between is in the last document; nothing is kept of what was delivered."""
    watched = Watched(unsent, Collector(address(server), token="t0ken"))
    watched.begin()
    wait_for(lambda: told(server))
    watched.observer.hear(DeploymentBegan(f"{ID}.1", target(1)))
    watched.observer.hear(CommandEnded(f"{ID}.1", target(1), "reload", "true", None, 0, "s3cret", 0.1))
    watched.end()
    watched.close(20)
    first, last = told(server)
    assert [(one.number, one.state) for one in (first, last)] == [(1, "under way"), (2, "ended")]
    assert [one.status for one in first.virtualenvs] == ["planned", "planned"]
    assert [one.status for one in last.virtualenvs] == ["deployed", "deployed"]
    assert {one.headers["authorization"] for one in server.requests} == {"Bearer t0ken"}
    assert watched.warnings.found == []
    assert b"s3cret" not in server.requests[-1].body
    assert list(unsent._folder.iterdir()) == []


def test_changes_are_told_meanwhile_but_not_each(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch, unsent: UnsentRollouts
) -> None:
    """At most once in a while, and only where something has changed."""
    monkeypatch.setattr(module, "PAUSE", 1.0)
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    wait_for(lambda: len(told(server)) == 1)
    for number in (1, 2):
        watched.observer.hear(DeploymentBegan(f"{ID}.{number}", target(number)))
        watched.observer.hear(DeploymentEnded(ended(ONES[number - 1], number)))
    wait_for(lambda: len(told(server)) == 2)
    time.sleep(1.2)
    assert [(one.number, one.state) for one in told(server)] == [(1, "under way"), (2, "under way")]
    assert [one.status for one in told(server)[1].virtualenvs] == ["deployed", "deployed"]
    watched.end()
    watched.close(20)
    assert [one.number for one in told(server)] == [1, 2, 3]


def test_a_rollout_in_which_nothing_changes_says_that_it_is_still_under_way(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch, unsent: UnsentRollouts
) -> None:
    """By the same document, as in a long migration; and by none before it has begun, and after it has ended."""
    monkeypatch.setattr(module, "SAID_AGAIN_AFTER", 0.1)
    watched = Watched(unsent, Collector(address(server)))
    time.sleep(0.3)
    assert told(server) == []
    watched.begin()
    wait_for(lambda: len(told(server)) >= 4)
    watched.end()
    watched.close(20)
    many = len(told(server))
    time.sleep(0.3)
    assert len(told(server)) == many
    first, *others = told(server)
    assert (first.number, first.state) == (1, "under way")
    assert others[:-1] == [first] * (many - 2)
    assert (others[-1].number, others[-1].state) == (2, "ended")


def test_a_program_that_is_killed_has_told_that_its_rollout_began(
    server: RecordingServer, unsent: UnsentRollouts
) -> None:
    """And nothing else: nothing is kept that says more than is known."""
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    watched.observer.hear(DeploymentBegan(f"{ID}.1", target(1)))
    wait_for(lambda: told(server))
    assert [one.state for one in told(server)] == ["under way"]
    assert not unsent._folder.exists()


def test_a_rollout_that_does_not_begin_is_not_told(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """As where an error comes first."""
    watched = Watched(unsent, Collector(address(server)))
    watched.close(20)
    assert (server.requests, watched.warnings.found) == ([], [])


def test_a_rollout_that_breaks_off_is_told_as_given_up(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """Its end was not heard; what was under way is not known."""
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    watched.observer.hear(DeploymentBegan(f"{ID}.1", target(1)))
    watched.close(20)
    last = told(server)[-1]
    assert (last.state, [one.status for one in last.virtualenvs]) == ("given up", ["not known", "planned"])


def test_several_collectors_are_told_and_a_broken_one_delays_no_other(
    server: RecordingServer, unsent: UnsentRollouts
) -> None:
    """One warning names those that were not told, and why."""
    with running_server() as broken:
        broken.answer = broken.slow
        watched = Watched(unsent, Collector(address(broken)), Collector(address(server)))
        watched.begin()
        watched.end()
        watched.close(2.0)
        assert told(server)[-1].state == "ended"
        assert watched.warnings.found == [
            f"{address(broken)}: the rollout {ID} was not delivered: no answer in time;"
            " it is kept, and sent by the next rollout, or by fab register"
        ]


@pytest.mark.parametrize(("given_up", "patience"), [(False, PATIENCE), (True, HURRY)])
def test_a_collector_that_never_answers_delays_the_end_by_the_patience_at_most(
    server: RecordingServer, unsent: UnsentRollouts, given_up: bool, patience: float
) -> None:
    """The last document is kept by then, as it would be sent, without the token."""
    server.answer = server.slow
    watched = Watched(unsent, Collector(f"{address(server)}/", token="t0ken"))
    watched.begin()
    watched.end(given_up=given_up)
    # others work on this machine as well
    assert watched.close(patience) < patience + 1.5
    (kept,) = unsent._folder.iterdir()
    assert "no answer in time; it is kept" in watched.warnings.found[0]
    document = rollout_from_json(json.loads(kept.read_bytes()))
    assert document.state == ("given up" if given_up else "ended")
    assert b"t0ken" not in kept.read_bytes()


def bodies(server: RecordingServer) -> list[tuple[str, bytes]]:
    """What came: the ids of rollouts, and the documents."""
    return [(one.path.rpartition("/")[2], one.body) for one in server.requests]


def key(server: RecordingServer) -> str:
    """What files call the collector."""
    return collector_key("address", address(server))


def test_what_was_not_delivered_is_sent_once_the_next_rollout_reaches_the_collector(
    server: RecordingServer, unsent: UnsentRollouts
) -> None:
    """Each document as it was, the oldest first; those of other collectors stay."""
    for rollout, whose in ((EARLIER, key(server)), (OLDEST, key(server)), (EARLIER, collector_key("address", "other"))):
        unsent.keep(rollout, whose, f"{rollout} {whose}".encode())
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    wait_for(lambda: len(server.requests) == 3)
    watched.end()
    watched.close(20)
    assert bodies(server)[1:3] == [(one, f"{one} {key(server)}".encode()) for one in (OLDEST, EARLIER)]
    assert told(server)[-1].state == "ended"
    assert [path.name for path in unsent._folder.iterdir()] == [f"{EARLIER}.{collector_key('address', 'other')}.json"]
    assert watched.warnings.found == []


def test_what_cannot_be_read_holds_up_no_other(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """It stays, and what waits beside it is sent."""
    unsent.keep(EARLIER, key(server), b"{}")
    (unsent._folder / f"{OLDEST}.{key(server)}.json").touch()
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    wait_for(lambda: len(server.requests) == 2)
    watched.end()
    watched.close(20)
    assert [path.name for path in unsent._folder.iterdir()] == [f"{OLDEST}.{key(server)}.json"]


def test_what_waits_is_sent_before_a_short_rollout_is_over(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """Within the patience, also if the collector is there again only at the end."""
    unsent.keep(EARLIER, key(server), b"{}")
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    watched.end()
    watched.close(20)
    assert (EARLIER, b"{}") in bodies(server)
    assert list(unsent._folder.iterdir()) == []


def test_a_final_answer_is_told_and_the_document_dropped(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """That of this rollout, and that of an earlier one, each with what the collector says."""

    def answer(request: Request) -> Reply:
        document = json.loads(request.body)
        return Reply(b"too old\n" if not document else b"", 400 if not document else 200, TEXT)

    server.answer = answer
    unsent.keep(EARLIER, key(server), b"{}")
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    wait_for(lambda: watched.observer._queues[0].refused)
    server.answer = lambda _: Reply(b"'who' is missing\n", 422, TEXT)
    watched.end()
    watched.close(20)
    where = address(server)
    assert watched.warnings.found == [
        f"{where}: the rollout {EARLIER} was refused: HTTP 400: too old\n"
        f"  {where}: the rollout {ID} was refused: HTTP 422: 'who' is missing"
    ]
    assert list(unsent._folder.iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "reason", "tries"),
    [
        (Reply(b"full\n", 503, TEXT), "HTTP 503: full", 3),
        (Reply(b"", 403), "HTTP 403; give a token that may write: Collector(url, token=…)", 1),
        (Reply(b"", 302, {"Location": "https://other/"}), "HTTP 302 to https://other/, which is not followed", 1),
    ],
)
def test_what_may_be_mended_is_kept(
    server: RecordingServer,
    unsent: UnsentRollouts,
    monkeypatch: pytest.MonkeyPatch,
    reply: Reply,
    reason: str,
    tries: int,
) -> None:
    """And nothing older is sent to a collector that takes nothing."""
    monkeypatch.setattr("envfab.deployment.rollout_report.delivery.PAUSES", (0.01, 0.02))
    server.answer = lambda _: reply
    unsent.keep(EARLIER, key(server), b"{}")
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    wait_for(lambda: len(server.requests) == tries)
    time.sleep(0.1)
    watched.end()
    watched.close(20)
    assert watched.warnings.found == [
        f"{address(server)}: the rollout {ID} was not delivered: {reason}; it is kept, and sent by the next rollout, or by fab register"
    ]
    assert [rollout for rollout, _ in bodies(server)] == [ID] * 2 * tries
    assert unsent.waiting([key(server)]) == [(EARLIER, key(server)), (ID, key(server))]


def test_a_collector_whose_address_cannot_be_had_gets_it_once_it_can(
    server: RecordingServer, unsent: UnsentRollouts
) -> None:
    """The document waits by the collector's place in the fabfile meanwhile."""
    variables: dict[str, str] = {}
    collector = Collector(lambda: variables["URL"])
    watched = Watched(unsent, collector)
    watched.begin()
    watched.end()
    watched.close(20)
    assert watched.warnings.found == [
        f"a collector: the rollout {ID} was not delivered: cannot read the address: KeyError: 'URL';"
        " it is kept, and sent by the next rollout, or by fab register"
    ]
    ((_, place),) = unsent.waiting([collector_key("place", place_of(Path("/fleet"), 0))])
    unsent.keep(EARLIER, place, b"{}")
    variables["URL"] = address(server)
    watched = Watched(unsent, collector)
    watched.begin()
    watched.end()
    watched.close(20)
    assert (EARLIER, b"{}") in bodies(server)
    assert list(unsent._folder.iterdir()) == []


@pytest.mark.parametrize("home", [True, False])
def test_what_cannot_be_kept_is_told(server: RecordingServer, tmp_path: Path, home: bool) -> None:
    """With why; the rollout itself goes on."""
    server.answer = lambda _: Reply(b"", 401)
    (tmp_path / "file").touch()
    watched = Watched(UnsentRollouts(tmp_path / "file" / "below") if home else None, Collector(address(server)))
    watched.begin()
    watched.end()
    watched.close(20)
    why = f"{tmp_path / 'file' / 'below'}: Not a directory" if home else "the user has no home folder"
    assert watched.warnings.found[0].endswith(f"Collector(url, token=…); and not kept: {why}")


def test_a_fault_of_ours_ends_the_report_and_not_the_rollout(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """It is raised where the observers of a rollout are closed, which tell it in a warning."""
    watched = Watched(unsent, Collector(address(server)))
    watched.begin()
    watched.observer.hear(DeploymentBegan(f"{ID}.7", target(7)))
    with pytest.raises(KeyError):
        watched.close(20)


def test_a_large_fleet_is_told_within_the_patience(server: RecordingServer, unsent: UnsentRollouts) -> None:
    """10,000 virtualenvs: their end is delivered, and `hear` returns at once."""
    ones = many(10_000)
    results = [replace(ended(one, number), after=one.probe) for number, one in enumerate(ones)]
    watched = Watched(unsent, Collector(address(server)))
    watched.observer.hear(RolloutBegan(ones, ones))
    began = time.thread_time()
    for number, result in enumerate(results):
        watched.observer.hear(DeploymentBegan(f"{ID}.{number}", result.target))
        watched.observer.hear(DeploymentEnded(result))
    assert time.thread_time() - began < 0.5
    watched.observer.hear(RolloutEnded(results, 2.5, False, False))
    watched.close(20)
    last = told(server)[-1]
    assert (last.state, len(last.virtualenvs)) == ("ended", 10_000)
    assert watched.warnings.found == []
