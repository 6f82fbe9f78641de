"""The task `deploy`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet, Target
from envfab.errors import UsageError
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.plan_options import CHOICE, plan_options, upgrade_flags
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.models.probe import Probe
    from envfab.planning.plan import Plan
    from envfab.remote.probe import TargetSession

WAVES = {
    "plan": "carry out exactly the plan that `fab plan --out FILE` saved",
    "canary": "deploy to these first, and go on only if that went well; repeatable",
    "batch": "so many virtualenvs a wave, a number or a percentage (setting: batch)",
    "max_failures": "start nothing new once so many have failed (setting: max_failures)",
}


def task(fleet: Fleet) -> Any:
    """`deploy` for `fleet`."""

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
        console, options = run.console, plan_options(only, reinstall, prune, force, upgrade)
        at_least(0, "--wait", wait)
        saved = _loaded(plan) if plan else None
        if saved is not None and options != plan_options((), (), False, force):
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
                from envfab.tasks.output.wheelhouse import show_wheelhouse
                from envfab.tasks.prompt import agree
                from envfab.tasks.rollout import carry_out

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
                    newest = upgrade_flags(options)
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

    return deploy


def _loaded(file: str) -> Mapping[Target, Plan]:
    from envfab.deployment.plan_file import load

    return load(user_path(file, "--plan"))
