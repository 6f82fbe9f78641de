"""The closing summary of a rollout: text out of results, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envfab.deployment.result import BAD, Deployment, Ending
from envfab.errors import AgentError, Unreachable
from envfab.models.probe import LingeringProcess
from envfab.planning.plan import Status
from envfab.remote.agent_session import OperationFailed
from envfab.tasks.output.endings import show_endings
from envfab.tasks.output.plans import rollout_json
from tests.tasks.output.test_plans import proposal, unreachable


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


def failed(number: int, what: str) -> Deployment:
    """A virtualenv on which a command failed, with much output."""
    plan = proposal(f"web{number}", Status.CHANGES).plan
    error = OperationFailed(what, where=str(plan.target), kind="reload")
    output = "".join(f"line {line}\n" for line in range(20))
    return Deployment(f"r.{number}", plan.target, plan, Ending.FAILED, error=error, output=output)


def test_a_summary_is_about_a_screen_however_much_failed() -> None:
    """The largest groups are shown, and what has the rest is named."""
    ways = [failed(number, f"error {number}") for number in range(500)]
    common = [failed(number, "the disk is full") for number in range(500, 9_000)]
    lines = str(show_endings([*ways, *common], None, "fab history --rollout ID")).splitlines()
    assert len(lines) <= 42
    assert lines[:2] == ["shop@web500:/srv/v   failed", "    the disk is full"]
    assert lines[-2] == "495 virtualenvs failed in 495 other ways: fab history --rollout ID names all"
    assert lines[-1] == "9000 failed"
    assert sum(line.endswith("…, fab history --rollout ID names all") for line in lines) == 1


def test_one_group_is_shown_however_long_it_is() -> None:
    """An error may list all that a deployment would have broken."""
    long = "\n".join(f"package {number} breaks" for number in range(60))
    lines = str(show_endings([failed(1, long), failed(2, "error")])).splitlines()
    assert "    package 59 breaks" in lines
    assert lines[-2] == "1 virtualenv failed in another way: --json names all"


def test_few_failures_stay_in_the_order_of_the_fabfile() -> None:
    """With the end of their output, as long as all of them fit; less of it, where that helps."""
    lines = str(show_endings([failed(1, "error 1"), failed(2, "error"), failed(3, "error")])).splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("shop@")] == ["shop@web1", "shop@web2"]
    assert lines.count("    | line 8") == 2
    lines = str(show_endings([failed(number, f"error {number}") for number in range(6)])).splitlines()
    assert lines.count("    | line 17") == 6
    assert "    | line 16" not in lines


def test_migrations_and_processes_of_many_virtualenvs_are_few_lines() -> None:
    """Each has its own, with how many more there are."""
    process = LingeringProcess(7, 1, "gunicorn")
    many = [
        migrated(f"web{number}", Ending.DEPLOYED, migrated=(f"a.{number}",), lingering=(process,))
        for number in range(1000)
    ]
    lines = str(show_endings(many)).splitlines()
    assert len(lines) == 15
    assert lines[6] == "and 994 more lists of migrations: --json names all"
    assert lines[13] == "and 994 more virtualenvs with processes of the previous generation: --json names all"
