"""The task `deploy`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.slices import Slice
from envfab.config.target import Member, Target
from envfab.errors import UsageError
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.fleet_slice import (
    SETTING,
    canary_targets,
    given_waves,
    nothing_selected,
    refuse_other_fleet,
    refuse_waves,
    select_slice,
    slice_of,
    warn_of_unlabelled,
)
from envfab.tasks.shared.plan_approval import require_approval
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.deployment.compilers import Compilers
    from envfab.deployment.plan_file import SavedPlan, Waves
    from envfab.deployment.proposal import Proposal
    from envfab.models.probe import Probe
    from envfab.planning.plan import Options
    from envfab.remote.probe import TargetSession
    from envfab.wheelhouse.wheelhouse import Wheelhouse

WAVES = {
    "plan": "carry out exactly the plan that `fab plan --out FILE` saved",
    "canary": "deploy to these first, and continue only if they succeed; repeatable",
    "batch": "virtualenvs per wave: a number or a percentage (setting: batch)",
    "allow_breaking_migrations": "apply migrations that break older code, even if other virtualenvs still run it",
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
        slice: str = "",
        canary: Iterable[str] = (),
        batch: str = "",
        max_failures: str = "",
        allow_breaking_migrations: bool = False,
        yes: bool = False,
        wait: int = 0,
        json: bool = False,
    ) -> None:
        """Bring virtualenvs up to their requirements: plan, show, ask, carry out."""
        from envfab.deployment.requirements_files import read_requirements
        from envfab.tasks.shared.plan_options import option_flags, plan_options

        options = plan_options(only, reinstall, prune, force, upgrade)
        at_least(0, "--wait", wait)
        saved = _load(plan, options) if plan else None
        pace = batch or _batch_of(saved.waves if saved is not None else None)
        run = TaskContext(fleet, c, json, batch=pace, max_failures=max_failures)
        console = run.console
        approved_by = require_approval(run, plan, saved, options.force)
        scope = _scope(run, list(name), list(canary), batch, saved, slice)
        if scope is None:
            return
        members, saved = scope.members, scope.saved
        if not yes:
            console.require_terminal("deploy")
        requirements = read_requirements(fleet, members) if saved is None else {}
        with console, ExitStack() as leaving, run.connections(members) as links:
            # loaded while the hosts answer
            from envfab.deployment.compilers import Compilers
            from envfab.deployment.propose import propose

            wheelhouse = run.open_wheelhouse()
            compilers = Compilers(run.settings.compilers)
            leaving.enter_context(closing(compilers))
            carried_out = None
            if saved is None:
                planned = _compiling_ahead(run, wheelhouse, compilers)
                proposing = propose(requirements, members, links, wheelhouse, options, run.settings, console, planned)
            else:
                from envfab.deployment.saved_proposals import SavedProposals

                commands = saved.commands if approved_by else None
                targets = {member.target for member in fleet.members(run.login)}
                carried_out = SavedProposals(saved.plans, targets, wheelhouse, options.force, commands)
                proposing = carried_out.propose(members, links, run.settings, console)
            with proposing as proposals:
                # loaded while the hosts answer
                from envfab.deployment.proposal import propose_one
                from envfab.planning.plan_cache import Plans
                from envfab.tasks.shared.prompt import agree
                from envfab.tasks.shared.rollout import RolloutRequest, carry_out

                show_wheelhouse(console, wheelhouse, fleet)

                def again(old: Proposal, probe: Probe, site: TargetSession) -> Proposal:
                    if carried_out is not None:
                        return carried_out.proposal(site, probe)
                    return propose_one(site, probe, old.requirements, Plans(wheelhouse, options, wheelhouse.hashes))

                def resume(names: Sequence[str]) -> str:
                    given = flags(plan=plan, slice=slice, batch=batch, max_failures=max_failures, wait=wait)
                    given += flags(allow_breaking_migrations=allow_breaking_migrations)
                    return command(fleet, "deploy", *option_flags(options), *given, names=names)

                chosen = agree(console, proposals, yes)
                request = RolloutRequest(
                    list(name),
                    yes,
                    again,
                    resume,
                    run.host_commands(links),
                    wait,
                    canaries=scope.canaries,
                    compilers=compilers,
                    whole=scope.whole,
                    slice=scope.part,
                    allow_breaking=allow_breaking_migrations,
                    approved_by=approved_by,
                )
                carry_out(run, wheelhouse, proposals.all(), chosen, request)

    return deploy


@dataclass(frozen=True, slots=True)
class _Scope:
    """What one call of `deploy` is for: of a saved plan, and of the members, only those in the slice `part`.

    `whole` are the targets that a saved plan's waves are made of.
    """

    members: tuple[Member, ...]
    saved: SavedPlan | None
    part: Slice | None
    canaries: frozenset[Target]
    whole: tuple[Target, ...]


def _scope(
    run: TaskContext, names: Sequence[str], canary: Sequence[str], batch: str, saved: SavedPlan | None, slice: str
) -> _Scope | None:
    """Return what to deploy to; None, which is told, if nothing of it lies in the slice. Raises `UsageError`."""
    part, waves = slice_of(saved, slice), saved.waves if saved is not None else None
    refuse_waves(part, _own_waves(run, canary, batch, waves))
    if part is not None and saved is not None:
        refuse_other_fleet(run, saved)
    members = select_slice(run, names, part)
    canaries = canary_targets(run, canary, members) or (waves.canaries if waves is not None else frozenset())
    whole = saved.deployable if saved is not None and waves is not None else ()
    if part is None:
        return _Scope(members, saved, part, canaries, whole)
    if saved is not None:
        saved = saved.on(part.hosts_of(run.fleet.all_hosts()))
        members = tuple(member for member in members if member.target in saved.plans)
    if not members:
        from envfab.tasks.output.plans import rollout_json

        what = "selected virtualenv" if saved is None else "selected virtualenv of the saved plan"
        nothing_selected(run, part, rollout_json(None, (), part), what)
        return None
    warn_of_unlabelled(run, part)
    return _Scope(members, saved, part, canaries, whole)


def _load(file: str, options: Options) -> SavedPlan:
    """Load the saved plan; raises `UsageError` where `options` ask for other plans."""
    from envfab.deployment.plan_file import load
    from envfab.planning.plan import Options

    saved = load(user_path(file, "--plan"))
    if options != Options(force=options.force):
        raise UsageError(
            "--plan cannot be combined with options that change the plan",
            hint="give --only, --reinstall, --upgrade and --prune to fab plan",
        )
    return saved


def _batch_of(waves: Waves | None) -> str:
    """The batch of a saved plan's waves, as a flag would give it: it outranks the setting, but not the flag."""
    return "" if waves is None else str(waves.batch or "none")


def _own_waves(run: TaskContext, canary: Sequence[str], batch: str, waves: Waves | None) -> list[str]:
    """What asks for waves that the saved plan does not have: flags, or the setting."""
    given = given_waves(run, canary, batch)
    by_setting = not batch and waves is None and run.settings.batch is not None
    return [*given, SETTING] if by_setting else given


def _compiling_ahead(run: TaskContext, wheelhouse: Wheelhouse, compilers: Compilers) -> Callable[[Proposal], None]:
    """Return what begins to compile the wheels of a proposal, where the setting `compile` wants that."""

    def planned(proposal: Proposal) -> None:
        if run.settings.compile and proposal.probe is not None:
            wheels = [(wheelhouse.path_of(wheel), wheelhouse.sha256(wheel)) for wheel in proposal.wheels]
            compilers.prepare(proposal.probe.interpreter, wheels)

    return planned
