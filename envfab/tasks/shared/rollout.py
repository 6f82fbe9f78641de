"""A rollout as `deploy` and `rollback` run it: carried out, and summed up."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.slices import Slice
from envfab.config.target import Member, Target
from envfab.deployment.barriers import Barriers
from envfab.deployment.compilers import Compilers
from envfab.deployment.context import RolloutContext
from envfab.deployment.observers import HURRY, PATIENCE, Observers, RolloutBegan, RolloutEnded
from envfab.deployment.old_code import OldCode
from envfab.deployment.proposal import Proposal
from envfab.deployment.result import BAD, Caller, Deployment, Ending, new_rollout_id
from envfab.deployment.rollout import Rollout, settled
from envfab.errors import EnvfabError
from envfab.models.probe import Probe
from envfab.planning.plan import UNPLANNABLE, Status
from envfab.planning.plan_json import plan_key
from envfab.remote.host_commands import HostCommands
from envfab.remote.probe import TargetSession
from envfab.tasks.fabric1.task import command_line_hosts
from envfab.tasks.output.console import Console
from envfab.tasks.output.endings import JSON, NAMED_BAD, show_endings
from envfab.tasks.output.plans import rollout_json, show_group
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.rollout_observers import observe
from envfab.wheelhouse.wheelhouse import Wheelhouse

# virtualenvs that a command to copy names
MOST_NAMES = 100


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """How `deploy` or `rollback` was asked to carry out plans.

    `names` are those on the command line. `again` plans anew where a virtualenv changed meanwhile, or refuses (None).
    `resume` makes the command line that does the same for other names. `wait` is in seconds.
    """

    names: Sequence[str]
    yes: bool
    again: Callable[[Proposal, Probe, TargetSession], Proposal | None]
    resume: Callable[[Sequence[str]], str]
    # how commands are run on hosts apart from deployments
    host_commands: HostCommands | None
    wait: float = 0
    canaries: frozenset[Target] = frozenset()
    compilers: Compilers = field(default_factory=Compilers)
    # the targets of a saved plan that has waves of its own
    whole: Sequence[Target] = ()
    slice: Slice | None = None
    # whether migrations may break the code that still runs elsewhere
    allow_breaking: bool = False
    # who approved the saved plan
    approved_by: tuple[str, ...] = ()
    # whether the same command line, given again, continues
    repeatable: bool = True


def carry_out(
    run: TaskContext,
    wheelhouse: Wheelhouse,
    proposals: Sequence[Proposal],
    chosen: Sequence[Proposal],
    request: RolloutRequest,
) -> None:
    """Deploy the chosen proposals and print how all ended; raises `Exit` where one did not end well."""
    context = replace(_context(run, wheelhouse, bool(chosen), request), old_code=_old_code(run, proposals, chosen))
    silent = [str(one.plan.target) for one in proposals if one.plan.target in request.canaries and _cannot(one)]
    if silent:
        run.console.warning(f"nothing was started: cannot deploy to the canaries {', '.join(silent)}")
    begins = bool(chosen) and not silent
    log = observe(run, context, chosen) if begins else None
    rollout, began = Rollout(context, chosen), time.monotonic()
    try:
        if begins:
            context.observers.hear(RolloutBegan(proposals, chosen))
            _warn_of_all(run, rollout)
        results = rollout.carry_out() if begins else {}
        end = _RolloutEnd.of(context.rollout, proposals, chosen, results, rollout, log)
        seconds = time.monotonic() - began
        context.observers.hear(RolloutEnded(end.deployments, seconds, end.failed, rollout.given_up, end.out_of_service))
        by_target = {one.plan.target: one.member for one in proposals}
        changed = [(by_target[one.target], one.after) for one in end.deployments if one.after is not None]
        with nullcontext() if rollout.given_up else _told(run.fleet, changed, run.console):
            _summarize(run, end, request)
    finally:
        context.observers.close(HURRY if rollout.given_up else PATIENCE)
    if rollout.given_up:
        # the callers clean up in a hurry then
        raise KeyboardInterrupt
    if end.failed:
        raise Exit(code=1)


@dataclass(frozen=True, slots=True)
class _RolloutEnd:
    """How a rollout ended: a result for each proposal, and what was to be deployed to and was not started.

    `log` is the folder of its log, None if it has none.
    """

    rollout: str
    deployments: Sequence[Deployment]
    unstarted: Sequence[Target]
    given_up: bool
    # hosts that may still be out of service, and why they were not put back, where that is known
    out_of_service: Mapping[str, EnvfabError | None]
    log: Path | None

    @classmethod
    def of(
        cls,
        rollout: str,
        proposals: Sequence[Proposal],
        chosen: Sequence[Proposal],
        results: Mapping[Target, Deployment],
        carried_out: Rollout,
        log: Path | None,
    ) -> _RolloutEnd:
        deployments = [results.get(one.plan.target) or settled(one) for one in proposals]
        unstarted = [one.plan.target for one in chosen if _did_not_start(results.get(one.plan.target))]
        return cls(rollout, deployments, unstarted, carried_out.given_up, carried_out.out_of_service, log)

    @property
    def failed(self) -> bool:
        """Whether `fab` ends with status 1."""
        return bool(self.unstarted or self.out_of_service) or any(one.ending in BAD for one in self.deployments)


def _summarize(run: TaskContext, end: _RolloutEnd, request: RolloutRequest) -> None:
    console = run.console
    log = command(run.fleet, "history", "--rollout", end.rollout)
    console.print(show_endings(end.deployments, request.slice, log if end.log is not None else JSON))
    for host, why in end.out_of_service.items():
        console.print(f"{host} may still be out of service{f': {why.what}' if why is not None else ''}", "bold red")
        console.print("    the next fab deploy puts it back", "red")
    _name_the_way_back(run, end, request)
    if end.unstarted:
        _name_unstarted(console, [str(target) for target in end.unstarted], request)
    if end.failed and end.log is not None:
        console.command("all that was done:", log, "dim")
    if console.as_json:
        console.json(rollout_json(end.rollout, end.deployments, request.slice, end.log, end.out_of_service))


def _warn_of_all(run: TaskContext, rollout: Rollout) -> None:
    """Warn where all hosts that are taken out of service would be out at the same time."""
    together = rollout.out_together
    if len(together) > 1 and together == {host.name for host in run.fleet.all_hosts() if host.drain}:
        run.console.warning(
            f"{', '.join(sorted(together))} are all taken out of service at the same time:"
            " deploy --batch, or the setting batch, leaves some of them in"
        )


def _context(run: TaskContext, wheelhouse: Wheelhouse, needs_wheels: bool, request: RolloutRequest) -> RolloutContext:
    def reconsider(old: Proposal, probe: Probe) -> Proposal | None:
        new = request.again(old, probe, old.site) if old.site is not None else None
        return _agreed(run.console, old, new, request.yes) if new is not None else None

    return RolloutContext(
        rollout=new_rollout_id(),
        caller=Caller.here(),
        wheelhouse=wheelhouse,
        settings=run.settings,
        gates=Barriers(),
        compilers=request.compilers,
        reporter=run.console,
        observers=Observers(run.console),
        reconsider=reconsider,
        wait=request.wait,
        canaries=request.canaries,
        whole=request.whole,
        slice=request.slice,
        host_commands=request.host_commands,
        allow_breaking=request.allow_breaking,
        approved_by=request.approved_by,
        needs_materials=any(server.needs_materials for server in run.fleet.registration),
        wheel_source=run.fleet.source_of_wheels() if needs_wheels else None,
    )


def _old_code(run: TaskContext, proposals: Sequence[Proposal], chosen: Sequence[Proposal]) -> OldCode:
    """Which virtualenvs of the fleet, not only of the rollout, run older code on a database that may be migrated."""
    projects = (project for proposal in chosen for project in proposal.member.virtualenv.projects)
    if not any(project.migrate and project.database is not None for project in projects):
        return OldCode()
    return OldCode.of(run.fleet.members(run.login), proposals)


def _name_unstarted(console: Console, names: Sequence[str], request: RolloutRequest) -> None:
    """Print what was not started, and the command that continues with it.

    That names each; if they are too many for a command line, it is the same command again, if that does no harm.
    """
    more = f" and {len(names) - NAMED_BAD} more" if len(names) > NAMED_BAD else ""
    console.print(f"not started: {', '.join(names[:NAMED_BAD])}{more}", "yellow")
    if len(names) > MOST_NAMES and request.repeatable:
        console.command("to continue, which only probes what is done:", request.resume(request.names))
    else:
        console.command("to continue with these:", request.resume(names))


def _name_the_way_back(run: TaskContext, end: _RolloutEnd, request: RolloutRequest) -> None:
    """Print the command that takes back what was deployed, and what was left under way."""
    left = [one for one in end.deployments if end.given_up and one.left_open]
    to_take_back = [str(one.target) for one in end.deployments if one.ending is Ending.DEPLOYED or one in left]
    if to_take_back:
        of = request.names if request.names or not command_line_hosts() else to_take_back
        words = ["--to", end.rollout, *flags(slice=str(request.slice or ""))]
        back = any(one.undoes for one in end.deployments)
        what = "to take this rollback back:" if back else "to roll back:"
        run.console.command(what, command(run.fleet, "rollback", *words, names=of), "dim")


@contextmanager
def _told(fleet: Fleet, changed: Sequence[tuple[Member, Probe]], console: Console) -> Iterator[None]:
    """Register at the servers while the summary is printed; without servers nothing is loaded for it."""
    if changed or fleet.registration:
        from envfab.registration.after_deployment import after_deployment

        with after_deployment(fleet, changed, console):
            yield
    else:
        yield


def _cannot(proposal: Proposal) -> bool:
    return proposal.plan.status in UNPLANNABLE


def _did_not_start(deployment: Deployment | None) -> bool:
    return deployment is None or deployment.ending is Ending.SKIPPED


def _agreed(console: Console, old: Proposal, new: Proposal, yes: bool) -> Proposal | None:
    if new.plan.status not in (Status.CHANGES, Status.CURRENT):
        return None
    if yes or new.plan.status is Status.CURRENT or plan_key(new.plan) == plan_key(old.plan):
        return new
    with console.turn():
        console.print(f"{new.plan.target} changed while you were asked; its plan is now:")
        console.print(show_group([new]))
        question = "Deploy that?" if new.undoes is None else "Roll back that way?"
        return new if console.confirm(question) else None
