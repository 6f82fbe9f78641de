"""How plans are shown to people: text out of plans, nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import Deployment, Ending
from envfab.errors import Unreachable
from envfab.models.distribution import Distribution
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind, Ahead, Missing, Plan, Status
from envfab.planning.plan_json import plan_key
from envfab.tasks.output.plans import alike, show_group, summary


def proposal(host: str, status: Status, **fields: object) -> Proposal:
    """A proposal for a virtualenv on `host`."""
    fleet = Fleet(hosts=[Host(host, virtualenvs=[Virtualenv("/srv/v", user="shop")])])
    (member,) = fleet.members(lambda _host: "admin")
    plan = Plan(member.target, status, "3.11.7", **fields)  # type: ignore[arg-type]  # tests name fields as they need
    return Proposal(member, Requirements(()), plan)


def action(kind: ActionKind, name: str, installed: str | None, version: str | None) -> Action:
    """An action as a plan has it."""
    wheel = Wheel.from_filename(f"{name.lower()}-{version}-py3-none-any.whl") if version else None
    return Action(kind, canonicalize_name(name), name, installed, wheel, "shop.txt:1")


def test_alike_plans_are_shown_once_with_their_targets() -> None:
    """Two virtualenvs with the same plan make one group, a third with another its own."""
    change = (action(ActionKind.UPGRADE, "Django", "5.1", "5.2"),)
    proposals = [
        proposal("web1", Status.CHANGES, actions=change),
        proposal("web2", Status.CURRENT),
        proposal("web3", Status.CHANGES, actions=change),
    ]
    groups = alike(proposals)
    assert [[one.plan.target.host for one in group] for group in groups] == [["web1", "web3"], ["web2"]]
    assert str(show_group(groups[0])) == (
        "shop@web1:/srv/v\n"
        "  ↑ Django   5.1 → 5.2   shop.txt:1\n"
        "    the same for 1 more: shop@web3:/srv/v"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [((1, 1), "1 package"), ((2, 2), "2 packages"), ((0, 0), "0 packages"), ((3, 1, 2), "")],
)
def test_the_number_of_packages_is_true_for_all_that_are_shown_as_one(numbers: tuple[int, ...], shown: str) -> None:
    """Virtualenvs that are current are alike whatever they hold: where that differs, no number is told."""
    interpreter = Interpreter(Version("3.11.7"), "CPython", {})
    group = []
    for place, number in enumerate(numbers):
        one = proposal(f"web{place}", Status.CURRENT)
        held = [Distribution.build(f"p{count}", "1") for count in range(number)]
        there = {package.name: package for package in held}
        probe = Probe(one.plan.target, interpreter, there, {}, (), (), None, "")
        group.append(replace(one, probe=probe))
    (alone,) = alike(group)
    assert str(show_group(alone)).splitlines()[0] == " · ".join(
        fact for fact in ("shop@web0:/srv/v   CPython 3.11.7", shown, "current") if fact
    )


@pytest.mark.parametrize(
    ("kind", "installed", "version", "line"),
    [
        (ActionKind.INSTALL, None, "5.2", "  + Django       5.2   shop.txt:1"),
        (ActionKind.REMOVE, "5.1", None, "  - Django   5.1      shop.txt:1"),
        (ActionKind.UPGRADE, "5.1", "5.2", "  ↑ Django   5.1 → 5.2   shop.txt:1"),
        (ActionKind.DOWNGRADE, "5.2", "5.1", "  ↓ Django   5.2 → 5.1   shop.txt:1"),
        (ActionKind.REINSTALL, "5.2", "5.2", "  ↻ Django   5.2 → 5.2   shop.txt:1"),
    ],
)
def test_every_kind_of_action_has_its_sign(
    kind: ActionKind, installed: str | None, version: str | None, line: str
) -> None:
    """Each can be told apart without colour."""
    one = proposal("web1", Status.CHANGES, actions=(action(kind, "Django", installed, version),))
    shown = str(show_group([one])).splitlines()[1]
    assert shown.split() == line.split()


def test_an_action_stays_in_its_line() -> None:
    """Whatever a saved plan says that comes from elsewhere: whoever approves it must not be shown lines of its own."""
    forged = replace(action(ActionKind.UPGRADE, "Django", "5.1\n  + a", "5.2"), reason="shop.txt:1\n  - b\u2028  + c")
    shown = str(show_group([proposal("web1", Status.CHANGES, actions=(forged,))]))
    assert shown.splitlines()[1:] == ["  ↑ Django   5.1   + a → 5.2   shop.txt:1   - b   + c"]


def test_blocked_and_ahead_say_why() -> None:
    """What is missing, in conflict or ahead is shown below the target, and so is an error without the target again."""
    one = proposal(
        "web1",
        Status.BLOCKED,
        ahead=(Ahead("six", "2.0", "1.17"), Ahead("own", "1", None)),
        missing=(Missing("pillow>=13", "shop.txt:2", "the wheelhouse has it for cp311 only"),),
        conflicts=("a wants b<2\nc wants b>=2",),
        warnings=("six 1.16 is yanked",),
        error="shop@web1:/srv/v: the moon is full",
    )
    assert str(show_group([one])).splitlines() == [
        "shop@web1:/srv/v   blocked",
        "    six 2.0 is ahead: the wheelhouse has 1.17",
        "    own 1 is ahead: the wheelhouse has none that fits",
        "    pillow>=13   shop.txt:2",
        "        the wheelhouse has it for cp311 only",
        "    a wants b<2",
        "    c wants b>=2",
        "    warning: six 1.16 is yanked",
        "    the moon is full",
    ]


def test_the_summary_counts() -> None:
    """So many of each status, in the order of their first."""
    some = [proposal("web1", Status.CHANGES), proposal("web2", Status.CURRENT), proposal("web3", Status.CURRENT)]
    assert summary(some) == "1 with changes, 2 current"
    assert summary([]) == "no virtualenv"


def unreachable(number: int) -> list[Deployment]:
    """So many virtualenvs whose hosts do not answer, each by its own name."""
    found = []
    for which in range(number):
        one = proposal(f"web{which}", Status.UNREACHABLE)
        error = Unreachable(f"nothing listens at web{which} port 22", where=f"web{which}")
        plan = replace(one.plan, error=str(error))
        found.append(Deployment(None, plan.target, plan, Ending.UNREACHABLE, error=error))
    return found


def test_plans_that_fail_in_the_same_way_are_shown_together() -> None:
    """Their errors name their own hosts; the paths of virtualenvs do not matter either."""
    plans = [one.plan for one in unreachable(40)]
    groups = alike([replace(proposal(plan.target.host, plan.status), plan=plan) for plan in plans])
    assert [len(group) for group in groups] == [40]
    another = replace(plans[0], error="web0: no answer from web0 port 22 within 10 s")
    assert plan_key(another) != plan_key(plans[0]) == plan_key(plans[1])
