"""Where deployments of a rollout wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.target import Member
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.barriers import Barriers
from envfab.errors import DeploymentError


def members(number: int) -> list[Member]:
    """So many virtualenvs with a project of database `shop`."""
    project = Project("shop.settings", database="shop")
    fleet = Fleet(
        hosts=[Host(f"web{index}", virtualenvs=[Virtualenv("/srv/v", projects=[project])]) for index in range(number)]
    )
    return list(fleet.members(lambda _host: "me"))


@pytest.fixture
def three() -> tuple[Barriers, list[Member]]:
    """Gates that three virtualenvs will come to."""
    gates, listed = Barriers(), members(3)
    gates.open(listed)
    return gates, listed


def started(function: Callable[[], None]) -> threading.Thread:
    """It, in a thread."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_the_others_wait_for_the_first_in_order(three: tuple[Barriers, list[Member]]) -> None:
    """Whoever comes earlier than its turn waits; one migrates, and the others are told what it was to apply."""
    gates, (first, second, third) = three
    order: list[tuple[str, bool, tuple[str, ...]]] = []

    def come(member: Member) -> None:
        with gates.database("shop", member.target) as migrates:
            if migrates:
                gates.tell("shop", ["shop.0001_initial"])
            order.append((member.target.host, migrates, gates.planned("shop")))

    later = [started(lambda: come(third)), started(lambda: come(second))]
    later[0].join(0.1)
    assert order == []
    come(first)
    for thread in later:
        thread.join(5)
    told = ("shop.0001_initial",)
    assert order == [("web0", True, told), ("web1", False, told), ("web2", False, told)]


def test_whoever_leaves_hands_its_turn_to_the_next(three: tuple[Barriers, list[Member]]) -> None:
    """A virtualenv that fails before its migration is not waited for."""
    gates, (first, second, _) = three
    gates.leave(first.target)
    with gates.database("shop", second.target) as migrates:
        assert migrates


def test_a_failed_migration_fails_everybody_after_it(three: tuple[Barriers, list[Member]]) -> None:
    """The next one raises, and so does the one after that."""
    gates, (first, *others) = three
    with pytest.raises(ZeroDivisionError), gates.database("shop", first.target):
        raise ZeroDivisionError
    for member in others:
        with pytest.raises(DeploymentError) as caught, gates.database("shop", member.target):
            pass
        assert str(caught.value) == f"{member.target}: the migration of database shop failed elsewhere"


def test_one_at_a_time_means_one_at_a_time() -> None:
    """Of those with the same key one is inside; another key is no obstacle."""
    gates = Barriers()
    came: list[str] = []

    def come(key: str) -> None:
        with gates.one_at_a_time(key):
            came.append(key)

    with gates.one_at_a_time("a"):
        waiting = started(lambda: come("a"))
        started(lambda: come("b")).join(5)
        assert came == ["b"]
    waiting.join(5)
    assert came == ["b", "a"]
