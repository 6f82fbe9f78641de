"""What collectors are told of rollouts, by the real program on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envfab.models.rollout_document import PackageChange, RolloutDocument, rollout_from_json
from tests.support.registration_server import RecordingServer, running_server
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


def fleet(local: Workplace, virtualenvs: str, collector: str) -> None:
    """Write a fabfile with a collector."""
    local.file(
        "fabfile.py",
        "from envfab import *\n"
        f"fleet = Fleet(hosts=[Host('localhost', virtualenvs=[{virtualenvs}])], events=[{collector}])\n"
        "ns = collection(fleet)\n",
    )


def told(server: RecordingServer) -> list[RolloutDocument]:
    """The documents that came, as a collector reads them."""
    return [rollout_from_json(json.loads(request.body)) for request in server.requests]


def test_a_collector_is_told_of_each_rollout(
    local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer
) -> None:
    """What changed, what failed, who did it; of one in which nothing begins nothing, of a rollback that it is one."""
    good, bad = (make_virtualenv("3.11", local.folder / name) for name in ("good", "bad"))
    fleet(
        local,
        f"Virtualenv({str(good)!r}, packages=['alpha']), Virtualenv({str(bad)!r}, packages=['alpha'],"
        " projects=[Project('x', env={'DB': 's3cret-db'}, migrate=False)], before='test 1 = s3cret-db')",
        f"Collector(lambda: {address(server) + '/inventory/'!r}, token='s3cret-t0ken')",
    )
    local.add_made("alpha", "1.0")
    done = local.fab("deploy", "--yes", "--json")
    assert (done.returncode, "warning" in done.stderr) == (1, False), done.stderr
    summary = json.loads(done.stdout)
    last = told(server)[-1]
    assert server.requests[-1].path == f"/inventory/rollouts/{summary['rollout']}"
    assert server.requests[-1].headers["authorization"] == "Bearer s3cret-t0ken"
    assert (last.state, last.task, last.origin) == ("failed", "deploy", os.uname().nodename)
    assert last.command.endswith("fab deploy --yes --json")
    assert Path(last.log or "").name == last.rollout
    first, second = last.virtualenvs
    assert [(one.host, one.path, one.status) for one in last.virtualenvs] == [
        (os.uname().nodename, str(good), "deployed"), (os.uname().nodename, str(bad), "rolled-back"),
    ]  # fmt: skip
    assert first.changes == second.changes == (PackageChange("install", "alpha", None, "1.0"),)
    assert (first.packages, second.packages) == ((("alpha", "1.0"),), ())
    planned = json.loads(local.fab("plan", "--json").stdout)["virtualenvs"]
    assert [first.digest, second.digest] == [one["digest"] for one in planned]
    assert first.digest is not None
    assert second.message == "the before command 'test 1 = ***' ended with status 1"
    assert not any(b"s3cret" in request.body for request in server.requests)

    server.requests.clear()
    fleet(local, f"Virtualenv({str(good)!r}, packages=['alpha'])", f"Collector({address(server)!r})")
    assert local.fab("deploy", "--yes").returncode == 0
    assert server.requests == []
    assert local.fab("rollback", "--yes").returncode == 0
    assert [(one.task, one.state) for one in told(server)[:1]] == [("rollback", "under way")]
    assert (told(server)[-1].state, told(server)[-1].virtualenvs[0].packages) == ("ended", ())


@pytest.fixture
def hanging(local: Workplace, make_virtualenv: VirtualenvMaker, server: RecordingServer) -> Workplace:
    """A fleet whose deployment hangs for a while, once the file `there` is there."""
    path, there = make_virtualenv("3.11", local.folder / "v"), local.folder / "there"
    fleet(
        local,
        f"Virtualenv({str(path)!r}, packages=['alpha'], before='touch {there}; sleep 10')",
        f"Collector({address(server)!r})",
    )
    local.add_made("alpha", "1.0")
    return local


def begun(local: Workplace, server: RecordingServer) -> subprocess.Popen[str]:
    """`fab deploy` as it hangs, and has told the beginning."""
    run = local.start("deploy", "--yes")
    while not ((local.folder / "there").exists() and server.requests):
        assert run.poll() is None
        time.sleep(0.02)
    return run


def test_of_a_run_that_is_killed_only_the_beginning_is_told(hanging: Workplace, server: RecordingServer) -> None:
    """It is not told that it ended, however it did; nothing is kept."""
    with begun(hanging, server) as run:
        run.send_signal(signal.SIGKILL)
    (only,) = told(server)
    assert (only.state, only.ended) == ("under way", None)
    assert only.virtualenvs[0].status in ("planned", "begun")
    assert not (hanging.folder / ".home/.local/state/envfab/unsent-rollouts").exists()


def test_of_a_run_that_is_given_up_it_is_told_that_the_end_is_not_known(
    hanging: Workplace, server: RecordingServer
) -> None:
    """Nor what the virtualenv has: its deployment goes on for a while."""
    with begun(hanging, server) as run:
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert run.wait(5) != 0
    last = told(server)[-1]
    assert last.state == "given up"
    assert [(one.status, one.packages, one.digest) for one in last.virtualenvs] == [("not known", None, None)]
    assert last.virtualenvs[0].message.startswith("given up at the step before: how it ended is not known")
