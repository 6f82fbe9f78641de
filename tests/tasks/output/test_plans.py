"""How plans are shown to people: text out of plans, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.virtualenv import Virtualenv
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import BAD, Deployment, Ending
from envfab.errors import AgentError, Unreachable
from envfab.models.distribution import Distribution
from envfab.models.interpreter import Interpreter
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind, Ahead, Missing, Plan, Status, plan_key
from envfab.remote.agent_session import OperationFailed
from envfab.tasks.output.plans import alike, rollout_json, show_endings, show_group, summary


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


def test_the_closing_summary_tells_how_far_a_failure_came() -> None:
    """A failed deployment shows its error, the end of the output, what was done and what was migrated."""
    plan = proposal("web1", Status.CHANGES).plan
    error = OperationFailed("pip ended with status 1", where=str(plan.target), kind="pip")
    failed = Deployment(
        "r.1", plan.target, plan, Ending.FAILED, ("lock", "upload"), error, "no space\n", ("shop.0001_initial",)
    )
    fine = Deployment("r.2", plan.target, plan, Ending.DEPLOYED)
    assert str(show_endings([failed, fine])).splitlines() == [
        "shop@web1:/srv/v   failed",
        "    pip ended with status 1",
        "    | no space",
        "    completed: lock, upload",
        "shop@web1:/srv/v   migrations applied, and not reversed: shop.0001_initial",
        "1 failed, 1 deployed",
    ]
    locked = Deployment(None, plan.target, plan, Ending.LOCKED, error=AgentError("busy", where=str(plan.target)))
    assert "done:" not in str(show_endings([locked]))


def migrated(host: str, ending: Ending, **fields: Any) -> Deployment:
    """A deployment to a virtualenv on `host` that had to do with migrations."""
    plan = proposal(host, Status.CHANGES).plan
    error = OperationFailed("it ended", where=str(plan.target), kind="django") if ending in BAD else None
    return Deployment("r.1", plan.target, plan, ending, error=error, **fields)


def test_migrations_are_listed_once_for_all_that_share_them() -> None:
    """Hosts with databases of their own apply the same: one line has the names, and whose they are."""
    names = ("shop.0001_initial", "shop.0002_price")
    hosts = [migrated(f"web{number}", Ending.DEPLOYED, migrated=names) for number in (1, 2)]
    many = [migrated(f"db{number}", Ending.ROLLED_BACK, migrated=names) for number in range(5)]
    lines = str(show_endings([*hosts, *many, migrated("web9", Ending.DEPLOYED, migrated=names[:1])])).splitlines()
    assert [line for line in lines if "shop.0001_initial" in line] == [
        "shop@web1:/srv/v, shop@web2:/srv/v   migrated shop.0001_initial, shop.0002_price",
        "shop@db0:/srv/v … shop@db4:/srv/v   migrations applied, and not reversed: shop.0001_initial, shop.0002_price",
        "shop@web9:/srv/v   migrated shop.0001_initial",
    ]


def test_only_migrations_whose_end_is_not_known_may_or_may_not_have_run() -> None:
    """What failed or was never begun is told apart, and what another deployment applied is not told at all."""
    failed = migrated("web1", Ending.ROLLED_BACK, planned=("a.1", "a.2"), migrated=("a.1",), unapplied=("a.2",))
    lost = migrated("web2", Ending.FAILED, planned=("a.1",), uncertain=("a.1",))
    shared = migrated("web3", Ending.ROLLED_BACK, planned=("b.1",))
    lines = str(show_endings([failed, lost, shared])).splitlines()
    assert lines[-4:-1] == [
        "shop@web1:/srv/v   migrations applied, and not reversed: a.1",
        "shop@web1:/srv/v   migrations that failed or were never begun: a.2",
        "shop@web2:/srv/v   migrations that may or may not have run: a.1",
    ]
    assert not any("b.1" in line for line in lines)


def test_a_rollback_is_told_as_one() -> None:
    """`rolled back` is what went well; one that failed is not told with the same words. JSON keeps its statuses."""
    endings = (Ending.DEPLOYED, Ending.ROLLED_BACK, Ending.CURRENT)
    undone = [migrated(f"web{number}", ending, undoes="r.0") for number, ending in enumerate(endings)]
    shown = str(show_endings(undone))
    assert shown.splitlines()[-1] == "1 rolled back, 1 failed (as it was before), 1 current"
    assert "deployed" not in shown
    assert "rolled-back" not in shown
    statuses = [one["status"] for one in rollout_json("r", undone)["virtualenvs"]]
    assert statuses == ["deployed", "rolled-back", "current"]


def unreachable(number: int) -> list[Deployment]:
    """So many virtualenvs whose hosts do not answer, each by its own name."""
    found = []
    for which in range(number):
        one = proposal(f"web{which}", Status.UNREACHABLE)
        error = Unreachable(f"nothing listens at web{which} port 22", where=f"web{which}")
        plan = replace(one.plan, error=str(error))
        found.append(Deployment(None, plan.target, plan, Ending.UNREACHABLE, error=error))
    return found


def test_what_is_wrong_in_the_same_way_is_told_once() -> None:
    """A large fleet of which a network is away: one message, the names of a few, and how many there are."""
    begun = migrated("web999", Ending.DEPLOYED)
    lines = str(show_endings([*unreachable(300), begun])).splitlines()
    assert lines[:2] == ["shop@web0:/srv/v   unreachable", "    web0: nothing listens at web0 port 22"]
    names = ", ".join(f"shop@web{which}:/srv/v" for which in range(1, 13))
    assert lines[2:] == [f"    the same for 299 more: {names} …, --json names all", "300 unreachable, 1 deployed"]
    # if nothing was begun, the plans have told it
    assert str(show_endings(unreachable(300))) == "300 unreachable"
    assert str(show_endings([*unreachable(3), begun])).splitlines()[2] == (
        "    the same for 2 more: shop@web1:/srv/v, shop@web2:/srv/v"
    )
    other = replace(unreachable(1)[0], error=Unreachable("no answer from web0 port 22 within 10 s", where="web0"))
    assert "the same" not in str(show_endings([*unreachable(1), other, begun]))


def test_plans_that_fail_in_the_same_way_are_shown_together() -> None:
    """Their errors name their own hosts; the paths of virtualenvs do not matter either."""
    plans = [one.plan for one in unreachable(40)]
    groups = alike([replace(proposal(plan.target.host, plan.status), plan=plan) for plan in plans])
    assert [len(group) for group in groups] == [40]
    another = replace(plans[0], error="web0: no answer from web0 port 22 within 10 s")
    assert plan_key(another) != plan_key(plans[0]) == plan_key(plans[1])
