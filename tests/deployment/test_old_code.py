"""Which virtualenvs run older code while a database is migrated."""

from __future__ import annotations

import pytest

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.project import Project
from envfab.config.target import Target
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.old_code import OldCode
from envfab.deployment.proposal import Proposal
from envfab.models.requirements import Requirements
from envfab.planning.plan import Plan, Status
from tests.registration.probes import probe, there


def fleet(*databases: str | None) -> Fleet:
    """A fleet of hosts web0, web1, …, each with a project of one of the databases."""
    return Fleet(
        hosts=[
            Host(f"web{number}", virtualenvs=[Virtualenv("/srv/v", projects=[Project("shop.settings", database=one)])])
            for number, one in enumerate(databases)
        ]
    )


def target(number: int) -> Target:
    """The virtualenv on a host."""
    return Target("me", f"web{number}", "/srv/v")


def test_all_of_the_database_run_older_code_until_they_are_deployed() -> None:
    """Not the one that migrates, not other databases, and not those that are known to be without."""
    members = fleet("shop", "shop", "blog", "shop", "shop").members(lambda _host: "me")
    old_code = OldCode(members, without={target(3)})
    assert old_code.beside("shop", target(0)) == (target(1), target(4))
    old_code.replaced(target(4))
    assert old_code.beside("shop", target(0)) == (target(1),)


@pytest.mark.parametrize(
    ("status", "django", "runs"),
    [
        (Status.CHANGES, "4.2", True),
        (Status.BLOCKED, "4.2", True),
        (Status.UNREACHABLE, None, True),
        (Status.CURRENT, "4.2", False),
        (Status.MISSING, None, False),
        (Status.CHANGES, "", False),
    ],
)
def test_what_is_new_or_empty_runs_no_older_code(status: Status, django: str | None, runs: bool) -> None:
    """A host that does not answer may run it; `django` is None where there is no probe, and empty without Django."""
    members = fleet("shop", "shop").members(lambda _host: "me")
    found = probe(members[1], *([there("Django", django)] if django else [])) if django is not None else None
    proposal = Proposal(members[1], Requirements(()), Plan(members[1].target, status), probe=found)
    assert bool(OldCode.of(members, [proposal]).beside("shop", target(0))) is runs


def test_without_a_label_none_is_known_to_share_the_database() -> None:
    """Projects that say nothing of their database are taken to have one of their own."""
    old_code = OldCode(fleet(None, None).members(lambda _host: "me"))
    assert old_code.beside(None, target(0)) == ()
