"""What is asked about while others still connect: who belongs together, and who is left to a later question."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.target import Member
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.propose import PATIENCE, Proposals
from envfab.models.requirements import Requirements
from envfab.planning.plan import Plan, Status
from envfab.remote.result_queue import ResultQueue

GRACE = 0.25


@pytest.fixture
def members() -> tuple[Member, ...]:
    """Twenty virtualenvs."""
    fleet = Fleet(hosts=[Host(f"web{number:02}", virtualenvs=[Virtualenv("/srv/v")]) for number in range(20)])
    return fleet.members(lambda _host: "me")


def batches(members: tuple[Member, ...], pauses: Iterator[float], status: Status = Status.CHANGES) -> list[list[str]]:
    """The hosts of each batch, where the members come one after another, each after a pause."""
    arrivals: ResultQueue[Proposal] = ResultQueue(members)

    def come() -> None:
        for member in members:
            time.sleep(next(pauses))
            arrivals.put(member.target, Proposal(member, Requirements(()), Plan(member.target, status)))

    thread = threading.Thread(target=come)
    thread.start()
    proposals = Proposals(arrivals, lambda _all: None)
    found = [[one.member.host.name for one in batch] for batch in proposals.batches(GRACE, lambda _one: False)]
    thread.join()
    return found


def names(members: tuple[Member, ...]) -> list[str]:
    """Their hosts."""
    return [member.host.name for member in members]


def test_who_comes_soon_after_another_stays_together(members: tuple[Member, ...]) -> None:
    """One question for all of them."""
    assert batches(members, iter([0.001] * 20)) == [names(members)]


def test_who_is_late_is_left_to_a_later_question(members: tuple[Member, ...]) -> None:
    """Nobody waits for the last one."""
    first, last = batches(members[:6], iter([0, 0, 0, 0, 0, GRACE * 4]))
    assert (first, last) == (names(members)[:5], names(members)[5:6])


def test_who_comes_steadily_keeps_nobody_waiting_for_ever(members: tuple[Member, ...]) -> None:
    """Each within the time that one is waited for, and all of them together far longer: the first are asked about."""
    found = batches(members, iter([GRACE / 2] * 20))
    assert len(found) > 1
    assert [name for batch in found for name in batch] == names(members)
    assert len(found[0]) <= 2 * PATIENCE + 2


def test_nothing_is_shown_early_where_nothing_is_to_be_decided(members: tuple[Member, ...]) -> None:
    """All that is current comes at the end, in one piece."""
    assert batches(members, iter([GRACE / 2] * 20), Status.CURRENT) == [names(members)]
