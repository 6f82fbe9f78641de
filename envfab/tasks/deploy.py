"""The tasks `plan` and `deploy`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet, Target
from envfab.errors import UsageError
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.fabric1.rewrite import TRUE
from envfab.tasks.fabric1.tokens import UNSET
from envfab.util.paths import output_path, user_path

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from envfab.deployment.proposal import Proposal
    from envfab.models.probe import Probe
    from envfab.planning.plan import Options, Plan
    from envfab.remote.probe import TargetSession

WAVES = {
    "plan": "carry out exactly the plan that `fab plan --out FILE` saved",
    "canary": "deploy to these first, and go on only if that went well; repeatable",
    "batch": "so many virtualenvs a wave, a number or a percentage (setting: batch)",
    "max_failures": "start nothing new once so many have failed (setting: max_failures)",
}
CHOICE = {
    "only": "change just this package, leave all others as they are; repeatable",
    "prune": "also remove what no requirement needs",
    "force": "go ahead though an installed package outside the requirements would break",
    "reinstall": "install this package again though its version is right; repeatable",
    "upgrade": "take the newest of this dependency, too, or without a name of all of them; repeatable",
}


def tasks(fleet: Fleet) -> list[Any]:
    """`plan` and `deploy` for `fleet`."""

    @ours(
        check="exit with 2 where there is something to do",
        out="save the plan to this file, for `fab deploy --plan FILE`",
        **CHOICE,
    )
    def plan(
        c: Context,
        name: Iterable[str] = (),
        only: Iterable[str] = (),
        reinstall: Iterable[str] = (),
        upgrade: Iterable[str] = (),
        prune: bool = False,
        force: bool = False,
        check: bool = False,
        out: str = "",
        json: bool = False,
    ) -> None:
        """Show what deploy would do, and do nothing."""
        from envfab.deployment.requirements_files import read_requirements

        run = TaskContext(fleet, c, json)
        place = output_path(out, "--out") if out else None
        members, options = run.select(list(name)), _options(only, reinstall, prune, force, upgrade)
        requirements = read_requirements(fleet, members)
        with run.console, run.connections(members) as links:
            from envfab.deployment.propose import propose

            wheelhouse = run.wheelhouse
            with propose(requirements, members, links, wheelhouse, options, run.settings, run.console) as proposing:
                # loaded while the hosts answer
                from envfab.planning.plan import UNPLANNABLE, Status
                from envfab.tasks.output.plans import plans_json, summary
                from envfab.tasks.prompt import show
                from envfab.tasks.rollout import show_wheelhouse

                show_wheelhouse(run.console, wheelhouse, fleet)
                proposals = proposing.all()
                show(run.console, proposals)
                run.console.print(summary(proposals), "bold")
            if place is not None:
                from envfab.deployment.plan_file import save
                from envfab.tasks.command_line import command, flags

                save(place, plans_json(proposals))
                run.console.command(f"saved to {out}, for", command(fleet, "deploy", *flags(plan=out)))
            if json:
                run.console.json(plans_json(proposals))
        statuses = {proposal.plan.status for proposal in proposals}
        if statuses & UNPLANNABLE:
            raise Exit(code=1)
        if check and Status.CHANGES in statuses:
            raise Exit(code=2)

    @ours(**WAVES, **CHOICE)
    def deploy(
        c: Context,
        name: Iterable[str] = (),
        only: Iterable[str] = (),
        reinstall: Iterable[str] = (),
        upgrade: Iterable[str] = (),
        prune: bool = False,
        force: bool = False,
        plan: str = "",
        canary: Iterable[str] = (),
        batch: str = "",
        max_failures: str = "",
        yes: bool = False,
        wait: int = 0,
        json: bool = False,
    ) -> None:
        """Bring virtualenvs up to their requirements: plan, show, ask, carry out."""
        from envfab.deployment.requirements_files import read_requirements

        run = TaskContext(fleet, c, json, batch=batch, max_failures=max_failures)
        console, options = run.console, _options(only, reinstall, prune, force, upgrade)
        at_least(0, "--wait", wait)
        saved = _loaded(plan) if plan else None
        if saved is not None and options != _options((), (), False, force):
            raise UsageError(
                "--plan says all that is to be done",
                hint="--only, --reinstall, --upgrade and --prune go with fab plan",
            )
        members = run.select(list(name))
        first = run.select(list(canary)) if canary else ()
        strangers = [str(member.target) for member in first if member not in members]
        if strangers:
            raise UsageError(f"not among what is deployed to: --canary {', '.join(strangers)}")
        if not yes:
            console.need_somebody("deploy")
        requirements = read_requirements(fleet, members) if saved is None else {}
        with console, run.connections(members) as links:
            from envfab.deployment.propose import propose

            wheelhouse = run.wheelhouse
            if saved is None:
                proposing = propose(requirements, members, links, wheelhouse, options, run.settings, console)
            else:
                from envfab.deployment.plan_file import propose_saved

                proposing = propose_saved(saved, members, links, wheelhouse, run.settings, console)
            with proposing as proposals:
                # loaded while the hosts answer
                from envfab.deployment.proposal import propose_one
                from envfab.planning.plan_cache import Plans
                from envfab.tasks.command_line import command, flags
                from envfab.tasks.prompt import agree
                from envfab.tasks.rollout import carry_out, show_wheelhouse

                show_wheelhouse(console, wheelhouse, fleet)

                def again(old: Proposal, probe: Probe, site: TargetSession) -> Proposal | None:
                    if saved is not None:
                        return None
                    return propose_one(
                        site, probe, old.requirements, Plans(wheelhouse, options), run.settings.installer
                    )

                def resume(names: Sequence[str]) -> str:
                    choice = flags(only=only, reinstall=reinstall, prune=prune, force=force, plan=plan)
                    pace = flags(batch=batch, max_failures=max_failures, wait=wait)
                    newest = _upgrade_flags(options)
                    return command(fleet, "deploy", *choice, *newest, *pace, names=names)

                chosen = agree(console, proposals, yes)
                carry_out(
                    run,
                    wheelhouse,
                    proposals.all(),
                    chosen,
                    again,
                    names=list(name),
                    resume=resume,
                    yes=yes,
                    force=force,
                    wait=wait,
                    canaries=frozenset(member.target for member in first),
                )

    return [plan, deploy]


def _loaded(file: str) -> Mapping[Target, Plan]:
    from envfab.deployment.plan_file import load

    return load(user_path(file, "--plan"))


def _options(
    only: Iterable[str], reinstall: Iterable[str], prune: bool, force: bool, upgrade: Iterable[str] = ()
) -> Options:
    from envfab.planning.plan import EVERYTHING, Options

    # `--upgrade` alone comes as `true`, and so does `deploy:upgrade=true`
    named = [one for one in upgrade if one.lower() not in TRUE]
    everything = len(named) < len(list(upgrade))
    return Options(
        only=_names("--only", only),
        reinstall=_names("--reinstall", reinstall),
        prune=prune,
        force=force,
        upgrade=_names("--upgrade", named) | (frozenset({EVERYTHING}) if everything else frozenset()),
    )


def _upgrade_flags(options: Options) -> list[str]:
    """The flags that say `options.upgrade` again."""
    from envfab.planning.plan import EVERYTHING
    from envfab.tasks.command_line import flags

    return ["--upgrade"] if EVERYTHING in options.upgrade else flags(upgrade=sorted(options.upgrade))


def _names(flag: str, given: Iterable[str]) -> frozenset[NormalizedName]:
    """The packages that a flag names; raises `UsageError` for what is more than a name, or less."""
    from packaging.utils import InvalidName, canonicalize_name

    names = set()
    for one in given:
        try:
            names.add(canonicalize_name(one, validate=True))
        except InvalidName:
            begins = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", one)
            hint = f"say {flag} {begins[0]}; versions belong in the requirements" if begins else UNSET
            raise UsageError(f"takes the name of a package, not {one!r}", where=flag, hint=hint) from None
    return frozenset(names)
