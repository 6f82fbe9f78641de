"""Rollouts that collectors were not told of, sent again by the real program."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from envfab.models.rollout_document import RolloutDocument, rollout_from_json
from tests.support.registration_server import RecordingServer, Reply, running_server
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.workplace import Workplace


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    """A collector that takes all that is put."""
    with running_server() as running:
        yield running


def address(server: RecordingServer) -> str:
    """The collector's address."""
    return server.url.partition("/application")[0]


def fleet(workplace: Workplace, virtualenvs: str, collector: str) -> None:
    """Write a fabfile with a collector."""
    workplace.file(
        "fabfile.py",
        "from envfab import *\n"
        f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[{virtualenvs}])], events=[{collector}])\n"
        "ns = collection(fleet)\n",
    )


def told(server: RecordingServer) -> list[RolloutDocument]:
    """The documents that came, as a collector reads them."""
    return [rollout_from_json(json.loads(request.body)) for request in server.requests]


def test_what_was_not_delivered_is_sent_by_register(
    workplace: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """A rollout ends well without its collector, which is told later; also where no registration server is configured."""
    path = make_virtualenv("3.11", workplace.folder / "v")
    fleet(workplace, f"Virtualenv({str(path)!r}, packages=['alpha'])", f"Collector({address(server)!r}, token='t0ken')")
    workplace.add_made("alpha", "1.0")
    server.answer = lambda _: Reply(b"not this token\n", 401, {"Content-Type": "text/plain"})
    done = workplace.fab("deploy", "--yes")
    assert done.returncode == 0, done.stderr
    (rollout,) = {one.rollout for one in told(server)}
    why = "HTTP 401: not this token; give a token that may write: Collector(url, token=…)"
    warning = " ".join(done.stderr.partition("warning: ")[2].split())
    assert warning == (
        f"{address(server)}: the rollout {rollout} was not delivered: {why};"
        " it is kept, and sent by the next rollout, or by fab register"
    )
    done = workplace.fab("register")
    assert (done.returncode, done.stdout) == (1, "")
    assert " ".join(done.stderr.split()) == (
        f"envfab: {address(server)}: the rollout {rollout} was not delivered: {why}; it is kept,"
        " and sent by the next rollout, or by fab register"
    )
    server.answer = lambda _: Reply()
    server.requests.clear()
    assert workplace.json("register") == {
        "format": 1,
        "registrations": [],
        "rollouts": [{"rollout": rollout, "collector": address(server), "status": "sent", "error": None}],
    }
    assert [(one.rollout, one.state) for one in told(server)] == [(rollout, "ended")]
    done = workplace.fab("register")
    assert (done.returncode, done.stdout) == (
        0, "no rollout waits for a collector, and no registration server is configured\n",
    )  # fmt: skip
