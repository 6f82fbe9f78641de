"""How often a deployment asks its host: each request is a trip to a machine that may be far away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from fabric import Config
from packaging.utils import canonicalize_name

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.barriers import Barriers
from envfab.deployment.context import RolloutContext
from envfab.deployment.propose import propose
from envfab.deployment.requirements_files import read_requirements
from envfab.deployment.result import Caller, Ending
from envfab.deployment.rollout import Rollout
from envfab.models.probe import Probe
from envfab.planning.plan import Options
from envfab.remote.process import HostConnection, Process
from envfab.remote.ssh.connections import Connections
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheel


class Line:
    """A wire tap: the operations that went to agents, and how often an answer was waited for."""

    def __init__(self, link: HostConnection) -> None:
        self.operations: list[str] = []
        self.trips = 0
        start = link._start

        def tapped(arguments: Sequence[str]) -> Process:
            process = start(arguments)
            write, line = process.write, process.stream.line
            asked: list[bytes] = []

            def noted(data: bytes) -> None:
                if data.startswith(b'{"op"'):
                    asked.append(data)
                    self.operations.append(json.loads(data)["op"])
                write(data)

            def answer() -> bytes:
                # what was asked before the first of several answers is one trip
                self.trips += bool(asked)
                asked.clear()
                return line()

            process.write, process.stream.line = noted, answer  # type: ignore[method-assign]
            return process

        link._start = tapped


def deployed(folder: Path, virtualenv: Virtualenv) -> tuple[Line, Probe]:
    """What a deployment to one virtualenv of this machine asked, and how it says that it left it."""
    host = Host("localhost", virtualenvs=[virtualenv])
    fleet = Fleet(hosts=[host], root=folder)
    wheelhouse = Wheelhouse(fleet.at("wheels"), fleet.at("release_log"))
    links = Connections(Config(runtime_ssh_path="/dev/null"), "strict", 10)
    line = Line(links.link(host))
    settings = Settings.from_mapping({"compile": False})
    members = fleet.members(links.login)
    with propose(
        read_requirements(fleet, members), members, links, wheelhouse, Options(), settings, Silent()
    ) as proposals:
        around = RolloutContext(
            "r", Caller.here(), wheelhouse, settings, Barriers(), Silent(), lambda _old, _probe: None
        )
        results = Rollout(around, proposals.all()).carry_out()
    links.close()
    (result,) = results.values()
    assert (result.ending, result.error) == (Ending.DEPLOYED, None)
    assert result.after is not None
    return line, result.after


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fleet's folder, with one wheel in the wheelhouse."""
    Wheelhouse(tmp_path / "wheels", tmp_path / "release_log").add(make_wheel(tmp_path / "made", "shop", "1.0"))
    return tmp_path


def test_a_deployment_asks_no_more_than_it_must(folder: Path, make_virtualenv: VirtualenvMaker) -> None:
    """Two looks at the whole virtualenv (before, and what the new generation has), and twelve trips, an upload among them."""
    path = make_virtualenv("3.11", folder / "v")
    line, _ = deployed(folder, Virtualenv(str(path), packages=["shop"]))
    # ..., the lock with a look that finds nothing new, ..., the installation with a look at the result, ...
    assert " ".join(line.operations) == (
        "probe load tags load lock load missing store bytecode fill fill begin"
        " step compose inspect step verify step switch step tidy close"
    ).replace(" bytecode", "")
    assert line.trips == 12


def test_what_the_host_has_is_not_sent_again(folder: Path, make_virtualenv: VirtualenvMaker) -> None:
    """The second virtualenv of an owner finds the wheel there."""
    first, _ = deployed(folder, Virtualenv(str(make_virtualenv("3.11", folder / "v")), packages=["shop"]))
    second, _ = deployed(folder, Virtualenv(str(make_virtualenv("3.11", folder / "w")), packages=["shop"]))
    assert (first.operations.count("store"), second.operations.count("store")) == (1, 0)


@pytest.mark.parametrize("field", ["before", "reload", "check"])
def test_after_a_command_that_may_change_it_it_is_looked_at_again(
    folder: Path, make_virtualenv: VirtualenvMaker, field: str
) -> None:
    """What is told of the virtualenv at the end is how it then is, whoever changed it."""
    path = make_virtualenv("3.11", folder / "v")
    command = "true" if field == "before" else f"rm -r {path}/lib/python3.11/site-packages/shop-1.0.dist-info"
    given: dict[str, Any] = {field: command}
    line, after = deployed(folder, Virtualenv(str(path), packages=["shop"], **given))
    assert line.operations.count("probe") == 2
    assert (canonicalize_name("shop") in after.distributions) is (field == "before")
    # the step with something to do is in the journal before it begins
    assert line.operations.count("step") == 5
