"""What receivers are told of rollouts, by the real program on this machine."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.registration_server import RecordingServer, Reply, Request, running_server
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace, freeze


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A server that takes all that is posted."""
    with running_server() as running:
        yield running


def fleet(local: Workplace, virtualenvs: str, events: str) -> None:
    """Write a fabfile with receivers of events."""
    local.file(
        "fabfile.py",
        "from envfab import *\n"
        f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[{virtualenvs}])], events=[{events}])\n"
        "ns = collection(fleet)\n",
    )


def bodies(server: RecordingServer) -> list[dict[str, Any]]:
    """The events that came."""
    return [json.loads(request.body) for request in server.requests]


def test_a_rollout_that_fails_is_told_from_beginning_to_end(
    local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """To a webhook, a chat, and a command, with what changed, what failed, and where the log lies."""
    good, bad = (make_virtualenv("3.11", local.folder / name) for name in ("good", "bad"))
    fleet(
        local,
        f"Virtualenv({str(good)!r}, packages=['alpha']), Virtualenv({str(bad)!r}, packages=['alpha'], before='exit 7')",
        f"Webhook({server.url!r}, secret='s3cret-key'), Webhook(lambda: {server.url + 'chat'!r}, format='slack',"
        " kinds=['rollout.failed']), Exec('cat >> events.jsonl; echo >> events.jsonl')",
    )
    local.add_made("alpha", "1.0")
    done = local.fab("deploy", "--yes", "--json")
    assert done.returncode == 1, done.stderr
    assert "warning" not in done.stderr
    summary = json.loads(done.stdout)
    told = [json.loads(request.body) for request in server.requests if not request.path.endswith("chat")]
    assert [one["kind"] for one in told] == ["rollout.begun", "virtualenv.rolled-back", "rollout.failed"]
    assert {(one["version"], one["rollout"], one["log"], one["task"]) for one in told} == {
        (1, summary["rollout"], summary["log"], "deploy")
    }
    begun, rolled_back, failed = told
    change = {"action": "install", "name": "alpha", "installed": None, "version": "1.0"}
    assert begun["changes"] == [change | {"virtualenvs": 2}]
    assert [one["target"].rpartition("/")[2] for one in begun["virtualenvs"]] == ["good", "bad"]
    assert [one["status"] for one in rolled_back["virtualenvs"]] == ["rolled-back"]
    assert rolled_back["virtualenvs"][0]["message"] == "the before command 'exit 7' ended with status 7"
    assert failed["counts"] == {"deployed": 1, "rolled-back": 1}
    assert failed["changes"] == [change | {"virtualenvs": 1}]
    assert failed["virtualenvs"] == rolled_back["virtualenvs"]
    assert 0 < failed["seconds"] < 60
    (chat,) = [json.loads(request.body) for request in server.requests if request.path.endswith("chat")]
    assert re.search(r"failed after \d+ s, 1 deployed, 1 rolled-back, by ", chat["text"])
    lines = (local.folder / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines if line] == [one["kind"] for one in told]


def test_receivers_fail_no_rollout_and_delay_its_end_by_two_seconds_at_most(
    local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """One that hangs, one that redirects, one that answers 500, and a secret that is missing: one warning."""
    path = make_virtualenv("3.11", local.folder / "v")
    hooks = [f"Webhook('{server.url}{name}')" for name in ("hang", "redirect", "broken")]
    missing = f"Webhook({server.url!r}, secret=lambda: __import__('os').environ['HOOK'])"
    virtualenv = f"Virtualenv({str(path)!r}, packages=['alpha'])"
    local.folder.mkdir(exist_ok=True)
    fleet(local, virtualenv, "")
    local.add_made("alpha", "1.0")
    assert local.fab("deploy", "--yes").returncode == 0
    began = time.monotonic()
    assert local.fab("deploy", "--yes", "--reinstall", "alpha").returncode == 0
    usual = time.monotonic() - began

    def answer(request: Request) -> Reply:
        if request.path.endswith("hang"):
            return server.slow(request)
        if request.path.endswith("redirect"):
            return Reply(status=307, headers={"Location": f"{server.url}elsewhere"})
        return Reply(status=500)

    server.answer = answer
    fleet(local, virtualenv, ", ".join([*hooks, missing]))
    began = time.monotonic()
    done = local.fab("deploy", "--yes", "--reinstall", "alpha")
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert freeze(path) == {"alpha": "1.0"}
    # loading Requests takes a moment, and others work on this machine as well
    assert took < usual + 2 + 2
    warnings = done.stderr.partition("warning: ")[2]
    # whether the last try of the last event falls into the two seconds depends on the machine
    assert warnings.replace("HTTP 500; no answer in time", "HTTP 500").splitlines() == [
        "127.0.0.1: 2 events not delivered: no answer in time",
        f"  127.0.0.1: 2 events not delivered: HTTP 307 to {server.url}elsewhere, which is not followed",
        "  127.0.0.1: 2 events not delivered: HTTP 500",
        "  127.0.0.1: 2 events not delivered: cannot read the secret: KeyError: 'HOOK'",
    ]
    assert {request.path.rpartition("/")[2] for request in server.requests} == {"hang", "redirect", "broken"}


def test_a_rollout_in_which_nothing_begins_tells_nothing(
    local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """One that goes well tells its beginning and its end; so does a rollback, as what it is."""
    path = make_virtualenv("3.11", local.folder / "v")
    fleet(local, f"Virtualenv({str(path)!r}, packages=['alpha'])", f"Webhook({server.url!r})")
    local.add_made("alpha", "1.0")
    for task in ("deploy", "deploy", "rollback"):
        assert local.fab(task, "--yes").returncode == 0
    assert [(one["task"], one["kind"]) for one in bodies(server)] == [
        ("deploy", "rollout.begun"), ("deploy", "rollout.ended"),
        ("rollback", "rollout.begun"), ("rollback", "rollout.ended"),
    ]  # fmt: skip
    assert bodies(server)[3]["counts"] == {"deployed": 1}


def test_waiting_for_a_lock_is_told_once(
    local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer, tmp_path: Path
) -> None:
    """With who holds it, when the wait begins."""
    path = make_virtualenv("3.11", local.folder / "v")
    fleet(local, f"Virtualenv({str(path)!r}, packages=['alpha'])", "")
    local.add_made("alpha", "1.0")
    assert local.fab("deploy", "--yes").returncode == 0
    there, go = tmp_path / "there", tmp_path / "go"
    fleet(
        local,
        f"Virtualenv({str(path)!r}, packages=['alpha'], before='touch {there}; while ! test -e {go}; do sleep 0.1; done')",
        "",
    )
    with local.start("deploy", "--yes", "--reinstall", "alpha") as first:
        while not there.exists():
            time.sleep(0.02)
        fleet(
            local,
            f"Virtualenv({str(path)!r}, packages=['alpha'])",
            f"Webhook({server.url!r}, kinds=['lock.waited']), Exec('sleep 1.5; touch {go}', kinds=['lock.waited'])",
        )
        second = local.fab("deploy", "--yes", "--reinstall", "alpha", "--wait", "60")
        assert (first.wait(60), second.returncode) == (0, 0), second.stderr
    (waited,) = bodies(server)
    assert waited["kind"] == "lock.waited"
    assert waited["virtualenvs"][0]["message"].startswith("another deployment is under way: ")
    (log,) = [
        one
        for one in (local.folder / ".home/.local/state/envfab/rollouts").glob("2*/log.jsonl")
        if '"event": "waiting"' in one.read_text()
    ]
    assert "another deployment is under way" in local.fab("history", "--rollout", log.parent.name).stdout
