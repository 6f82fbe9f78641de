"""The task `rollback`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.slices import Slice
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.tasks.shared.command_line import command, flags
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.fleet_slice import nothing_selected, select_slice

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.models.probe import Probe
    from envfab.remote.probe import TargetSession


def task(fleet: Fleet) -> Any:
    """`rollback` for `fleet`."""

    @ours(to="return to the state before this deployment or rollout (default: before the last deployment of each)")
    def rollback(
        c: Context,
        name: Iterable[str] = (),
        to: str = "",
        slice: str = "",
        yes: bool = False,
        wait: int = 0,
        json: bool = False,
    ) -> None:
        """Return packages to their state before a deployment; databases stay as they are."""
        from envfab.deployment.compilers import Compilers
        from envfab.deployment.rollback import propose_undo, read_history, undo_one
        from envfab.tasks.output.plans import rollout_json
        from envfab.tasks.shared.prompt import agree
        from envfab.tasks.shared.rollout import RolloutRequest, carry_out

        run = TaskContext(fleet, c, json)
        console, wheelhouse = run.console, run.open_wheelhouse()
        at_least(0, "--wait", wait)
        part = Slice.parse(slice) if slice else None
        with console, run.connections() as links:
            members = select_slice(run, list(name), part)
            if part is not None and not members:
                nothing_selected(run, part, rollout_json(None, (), part))
                return
            if not yes:
                console.require_terminal("rollback")
            show_wheelhouse(console, wheelhouse, fleet)
            with propose_undo(members, links, wheelhouse, run.settings, console, to or None) as proposals:

                def again(_old: Proposal, probe: Probe, site: TargetSession) -> Proposal:
                    return undo_one(site, probe, read_history(site), wheelhouse, to or None)

                chosen = agree(console, proposals, yes, "Roll back")

                def resume(names: Sequence[str]) -> str:
                    return command(fleet, "rollback", *flags(to=to, slice=slice, wait=wait), names=names)

                compilers = Compilers(run.settings.compilers)
                # without --to, each call goes back one further
                request = RolloutRequest(
                    list(name),
                    yes,
                    again,
                    resume,
                    run.host_commands(links),
                    wait,
                    compilers=compilers,
                    slice=part,
                    repeatable=bool(to),
                )
                carry_out(run, wheelhouse, proposals.all(), chosen, request)

    return rollback
