"""The tasks `plan` and `deploy`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from envfab.fleet import Fleet
from envfab.tasks.fabric1 import Task
from envfab.tasks.invocation import Invocation

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.facts.probe import Probe
    from envfab.planning.plan import Options
    from envfab.tasks.console import Console
    from envfab.wheelhouse.house import House

NAME = "which virtualenvs: host, user@host:/path, host:/path, :/path, user@, %group, globs; repeatable (default: all)"
CHOICE = {
    "only": "change just this package, leave all others as they are; repeatable",
    "prune": "also remove what no requirement needs",
    "force": "go ahead though an installed package outside the requirements would break",
    "reinstall": "install this package again though its version is right; repeatable",
    "json": "one JSON document on standard output",
}


def tasks(fleet: Fleet) -> list[Any]:
    """`plan` and `deploy` for `fleet`."""

    @task(
        klass=Task,
        positional_words="name",
        iterable=["name", "only", "reinstall"],
        auto_shortflags=False,
        help={"name": NAME, "check": "exit with 2 where there is something to do", **CHOICE},
    )
    def plan(
        c: Context,
        name: Iterable[str] = (),
        only: Iterable[str] = (),
        reinstall: Iterable[str] = (),
        prune: bool = False,
        force: bool = False,
        check: bool = False,
        json: bool = False,
    ) -> None:
        """Show what deploy would do, and do nothing."""
        from envfab.deployment.proposal import propose
        from envfab.planning.plan import Status
        from envfab.tasks.plans import plans_json, summary

        run = Invocation(fleet, c, json)
        options, house = _options(only, reinstall, prune, force), run.house
        with run.console, run.connections() as links:
            members = run.select(list(name), links)
            _show_house(run.console, house)
            with propose(fleet, members, links, house, options, run.settings, run.console) as proposals:
                _show(run.console, proposals)
                run.console.print(summary(proposals), "bold")
            if json:
                run.console.json(plans_json(proposals))
        statuses = {proposal.plan.status for proposal in proposals}
        if statuses & {Status.BLOCKED, Status.UNREACHABLE}:
            raise Exit(code=1)
        if check and Status.CHANGES in statuses:
            raise Exit(code=2)

    @task(
        klass=Task,
        positional_words="name",
        iterable=["name", "only", "reinstall"],
        auto_shortflags=False,
        help={"name": NAME, "yes": "do not ask", **CHOICE},
    )
    def deploy(
        c: Context,
        name: Iterable[str] = (),
        only: Iterable[str] = (),
        reinstall: Iterable[str] = (),
        prune: bool = False,
        force: bool = False,
        yes: bool = False,
        json: bool = False,
    ) -> None:
        """Bring virtualenvs up to their requirements: plan, show, ask, carry out."""
        from envfab.deployment.gates import Gates
        from envfab.deployment.proposal import propose, propose_one
        from envfab.deployment.record import BAD, Caller, new_rollout_id
        from envfab.deployment.rollout import Rollout, settled
        from envfab.deployment.steps import Surroundings
        from envfab.planning.alike import Plans
        from envfab.planning.plan import Status
        from envfab.tasks.plans import rollout_json, show_endings

        run = Invocation(fleet, c, json)
        console, house, options = run.console, run.house, _options(only, reinstall, prune, force)
        with console, run.connections() as links:
            members = run.select(list(name), links)
            if not yes:
                console.need_somebody("deploy")
            _show_house(console, house)
            with propose(fleet, members, links, house, options, run.settings, console) as proposals:
                _show(console, proposals)
                chosen = [one for one in proposals if one.plan.status is Status.CHANGES]
                if not yes:
                    chosen = _ask(console, chosen)

                def reconsider(old: Proposal, probe: Probe) -> Proposal | None:
                    """A new plan where the virtualenv changed meanwhile, if it is the same or is agreed to."""
                    if old.site is None:
                        return None
                    new = propose_one(old.site, probe, old.requirements, Plans(house, options))
                    return _agreed(console, old, new, yes)

                rollout = new_rollout_id()
                around = Surroundings(
                    rollout=rollout,
                    caller=Caller.here(),
                    house=house,
                    settings=run.settings,
                    gates=Gates([one.member for one in chosen]),
                    reporter=console,
                    force=force,
                    reconsider=reconsider,
                )
                results = Rollout(around, chosen).carry_out() if chosen else {}
            deployments = [results.get(one.plan.target) or settled(one) for one in proposals]
            console.print(show_endings(deployments))
            if json:
                console.json(rollout_json(rollout, deployments))
        if any(deployment.ending in BAD for deployment in deployments):
            raise Exit(code=1)

    return [plan, deploy]


def _options(only: Iterable[str], reinstall: Iterable[str], prune: bool, force: bool) -> Options:
    from packaging.utils import canonicalize_name

    from envfab.planning.plan import Options

    return Options(
        only=frozenset(canonicalize_name(name) for name in only),
        reinstall=frozenset(canonicalize_name(name) for name in reinstall),
        prune=prune,
        force=force,
    )


def _show_house(console: Console, house: House) -> None:
    from envfab.tasks.wheels import house_line, warn_of_log

    console.print(house_line(house), "dim")
    warn_of_log(console, house)


def _show(console: Console, proposals: Sequence[Proposal]) -> None:
    from envfab.tasks.plans import alike, show_group

    for group in alike(proposals):
        console.print(show_group(group))


def _ask(console: Console, proposals: Sequence[Proposal]) -> list[Proposal]:
    """Those that somebody at the terminal agrees to."""
    from envfab.tasks.plans import alike

    agreed = []
    for group in alike(proposals):
        pending = list(group)
        while pending:
            every = f"  [a]ll {len(pending)} with this plan" if len(pending) > 1 else ""
            question = f"Deploy to {pending[0].plan.target}?  [y]es  [n]o{every}  [q]uit"
            answer = console.ask(question, "ynaq" if every else "ynq")
            if answer == "q":
                raise Exit("nothing was deployed", code=1)
            one = pending.pop(0)
            if answer in "ya":
                agreed.append(one)
            if answer == "a":
                agreed += pending
                break
    order = {id(proposal): number for number, proposal in enumerate(proposals)}
    return sorted(agreed, key=lambda proposal: order[id(proposal)])


def _agreed(console: Console, old: Proposal, new: Proposal, yes: bool) -> Proposal | None:
    from envfab.planning.plan import Status, plan_key
    from envfab.tasks.plans import show_group

    if new.plan.status not in (Status.CHANGES, Status.CURRENT):
        return None
    if yes or new.plan.status is Status.CURRENT or plan_key(new.plan) == plan_key(old.plan):
        return new
    with console.turn():
        console.print(f"{new.plan.target} changed while the question waited; the plan is now:")
        console.print(show_group([new]))
        return new if console.ask("Deploy that?  [y]es  [n]o", "yn") == "y" else None
