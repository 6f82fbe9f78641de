"""Fleets of hundreds of virtualenvs that a recorded agent answers for: what is done once must be done once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.settings import Settings
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.propose import propose
from envfab.deployment.requirements_files import read_requirements
from envfab.models.wheel import Release
from envfab.planning.plan import Options, Status
from envfab.remote.workers import SPARE
from envfab.util.progress import Silent
from envfab.wheelhouse.wheelhouse import Wheelhouse
from tests.support.recorded import RecordedLinks, Replies, record
from tests.support.virtualenvs import VirtualenvMaker
from tests.support.wheels import make_wheelhouse

PARALLEL = 10


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory, make_virtualenv: VirtualenvMaker) -> Replies:
    """What the agent of a virtualenv says that has pip."""
    return record(make_virtualenv("3.11", tmp_path_factory.mktemp("recorded") / "venv", pip=True))


class CountingWheelhouse(Wheelhouse):
    """Counts how often a project is looked up."""

    asked = 0

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """As `Wheelhouse` says."""
        self.asked += 1
        return super().releases(name)


@dataclass(frozen=True, slots=True)
class Counts:
    """What looking at a fleet took."""

    statuses: frozenset[Status]
    proposals: int
    agents: int
    lookups: int
    threads: int


def counts(folder: Path, replies: Replies, virtualenvs: int, *, each: int, kinds: int) -> Counts:
    """Look at a fleet, `each` virtualenvs a host, in a wheelhouse of three projects of which two are required."""
    folder.mkdir()
    wheels, log = make_wheelhouse(folder, projects=3)
    (folder / "requirements.txt").write_text("project-1\n")
    hosts = [
        Host(
            f"web{host}",
            user="shop",
            virtualenvs=[Virtualenv(f"/srv/{number}", requirements="requirements.txt") for number in range(each)],
        )
        for host in range(virtualenvs // each)
    ]
    fleet = Fleet(hosts=hosts, root=folder)
    wheelhouse, links = CountingWheelhouse(wheels, log, cache=folder), RecordedLinks(replies, kinds)
    members = fleet.members(lambda _host: "shop")
    with propose(
        read_requirements(fleet, members),
        members,
        links,
        wheelhouse,
        Options(),
        Settings(parallel=PARALLEL, processes=1),
        Silent(),
    ) as proposals:
        found = proposals.all()
    return Counts(
        frozenset(one.plan.status for one in found), len(found), links.started, wheelhouse.asked, links.threads
    )


@pytest.mark.parametrize("each", [1, 10])
def test_a_large_fleet_is_planned_as_often_as_it_has_kinds(tmp_path: Path, replies: Replies, each: int) -> None:
    """Three hundred virtualenvs of three kinds cost what thirty of them cost, and one agent each."""
    small = counts(tmp_path / "small", replies, 30, each=each, kinds=3)
    large = counts(tmp_path / "large", replies, 300, each=each, kinds=3)
    assert (small.proposals, large.proposals) == (30, 300)
    assert small.statuses == large.statuses == {Status.CHANGES}
    assert (small.agents, large.agents) == (30, 300)
    assert small.lookups == large.lookups > 0


def test_threads_are_bounded_by_what_works_at_once(tmp_path: Path, replies: Replies) -> None:
    """A thread for each host in work, and a few that help: more virtualenvs and more hosts need no more threads."""
    large = counts(tmp_path / "large", replies, 600, each=20, kinds=1)
    assert large.threads <= PARALLEL + SPARE
