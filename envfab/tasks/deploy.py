"""The task `deploy`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.target import Member, Target
from envfab.errors import UsageError
from envfab.tasks.command_line import command, flags
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.deployment.bytecode import Compilers
    from envfab.deployment.proposal import Proposal
    from envfab.models.probe import Probe
    from envfab.planning.plan import Options, Plan
    from envfab.remote.probe import TargetSession
    from envfab.wheelhouse.wheelhouse import Wheelhouse

WAVES = {
    "plan": "carry out exactly the plan that `fab plan --out FILE` saved",
    "canary": "deploy to these first, and continue only if they succeed; repeatable",
    "batch": "virtualenvs per wave: a number or a percentage (setting: batch)",
    "max_failures": "start no further deployment after this many failures (setting: max_failures)",
}


def task(fleet: Fleet) -> Any:
    """`deploy` for `fleet`."""

    @ours(**WAVES)
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
        from envfab.tasks.plan_options import option_flags, plan_options

        run = TaskContext(fleet, c, json, batch=batch, max_failures=max_failures)
        console, options = run.console, plan_options(only, reinstall, prune, force, upgrade)
        at_least(0, "--wait", wait)
        saved = _load(plan, options) if plan else None
        members = run.select(list(name))
        canaries = _canaries(run, list(canary), members)
        if not yes:
            console.require_terminal("deploy")
        requirements = read_requirements(fleet, members) if saved is None else {}
        with console, ExitStack() as leaving, run.connections(members) as links:
            # loaded while the hosts answer
            from envfab.deployment.bytecode import Compilers
            from envfab.deployment.propose import propose

            wheelhouse = run.open_wheelhouse()
            compilers = Compilers(run.settings.compilers)
            leaving.enter_context(closing(compilers))
            if saved is None:
                planned = _compiling_ahead(run, wheelhouse, compilers)
                proposing = propose(requirements, members, links, wheelhouse, options, run.settings, console, planned)
            else:
                from envfab.deployment.plan_file import propose_saved

                proposing = propose_saved(saved, members, links, wheelhouse, run.settings, console)
            with proposing as proposals:
                # loaded while the hosts answer
                from envfab.deployment.proposal import propose_one
                from envfab.planning.plan_cache import Plans
                from envfab.tasks.prompt import agree
                from envfab.tasks.rollout import RolloutRequest, carry_out

                show_wheelhouse(console, wheelhouse, fleet)

                def again(old: Proposal, probe: Probe, site: TargetSession) -> Proposal | None:
                    if saved is not None:
                        return None
                    return propose_one(site, probe, old.requirements, Plans(wheelhouse, options, wheelhouse.hashes))

                def resume(names: Sequence[str]) -> str:
                    pace = flags(plan=plan, batch=batch, max_failures=max_failures, wait=wait)
                    return command(fleet, "deploy", *option_flags(options), *pace, names=names)

                chosen = agree(console, proposals, yes)
                request = RolloutRequest(list(name), yes, again, resume, wait, canaries, compilers)
                carry_out(run, wheelhouse, proposals.all(), chosen, request)

    return deploy


def _load(file: str, options: Options) -> Mapping[Target, Plan]:
    """Load the saved plans; raises `UsageError` where `options` ask for other plans."""
    from envfab.deployment.plan_file import load
    from envfab.planning.plan import Options

    plans = load(user_path(file, "--plan"))
    if options != Options(force=options.force):
        raise UsageError(
            "--plan cannot be combined with options that change the plan",
            hint="give --only, --reinstall, --upgrade and --prune to fab plan",
        )
    return {target: replace(plan, force=plan.force or options.force) for target, plan in plans.items()}


def _compiling_ahead(run: TaskContext, wheelhouse: Wheelhouse, compilers: Compilers) -> Callable[[Proposal], None]:
    """Return what begins to compile the wheels of a proposal, where the setting `compile` wants that."""

    def planned(proposal: Proposal) -> None:
        if run.settings.compile and proposal.probe is not None:
            wheels = [(wheelhouse.path_of(wheel), wheelhouse.sha256(wheel)) for wheel in proposal.wheels]
            compilers.prepare(proposal.probe.interpreter, wheels)

    return planned


def _canaries(run: TaskContext, names: Sequence[str], members: Sequence[Member]) -> frozenset[Target]:
    """Return the targets to deploy to first; raises `UsageError` for one that is not among the `members`."""
    first = run.select(names) if names else ()
    strangers = [str(member.target) for member in first if member not in members]
    if strangers:
        raise UsageError(f"not among the chosen targets: {', '.join(strangers)}", where="--canary")
    return frozenset(member.target for member in first)
