"""The task `plan`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.command_line import command, flags
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.util.paths import output_path

if TYPE_CHECKING:
    from envfab.deployment.proposal import Proposal
    from envfab.remote.ssh.connections import Connections


def task(fleet: Fleet) -> Any:
    """`plan` for `fleet`."""

    @ours(
        check="exit with 2 if there is something to do",
        verbose="also tell how large the store of unpacked wheels is, for each host and owner",
        out="save the plan to this file, for `fab deploy --plan FILE`",
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
        verbose: bool = False,
        json: bool = False,
    ) -> None:
        """Show what deploy would do, without doing it."""
        from envfab.deployment.requirements_files import read_requirements
        from envfab.tasks.plan_options import plan_options

        run = TaskContext(fleet, c, json)
        place = output_path(out, "--out") if out else None
        members, options = run.select(list(name)), plan_options(only, reinstall, prune, force, upgrade)
        requirements = read_requirements(fleet, members)
        with run.console, run.connections(members) as links:
            # loaded while the hosts answer
            from envfab.deployment.propose import propose

            wheelhouse = run.open_wheelhouse()
            with propose(requirements, members, links, wheelhouse, options, run.settings, run.console) as proposing:
                # loaded while the hosts answer
                from envfab.planning.plan import UNPLANNABLE, Status
                from envfab.tasks.output.plans import plans_json, summary
                from envfab.tasks.prompt import show

                show_wheelhouse(run.console, wheelhouse, fleet)
                proposals = proposing.all()
                show(run.console, proposals)
                run.console.print(summary(proposals), "bold")
            document = plans_json(proposals)
            if verbose:
                # after the agents of the plans have left their places
                document["stores"] = _stores(run, links, proposals)
            if place is not None:
                from envfab.deployment.plan_file import save

                save(place, document)
                run.console.command(f"saved to {out}, for", command(fleet, "deploy", *flags(plan=out)))
            if json:
                run.console.json(document)
        statuses = {proposal.plan.status for proposal in proposals}
        if statuses & UNPLANNABLE:
            raise Exit(code=1)
        if check and Status.CHANGES in statuses:
            raise Exit(code=2)

    return plan


def _stores(run: TaskContext, links: Connections, proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Print the size of each store of a virtualenv that was probed; return them for JSON."""
    from envfab.remote.upkeep import measure
    from envfab.tasks.output.stores import store_line, stores_json

    answering = [proposal.member for proposal in proposals if proposal.probe is not None]
    stores = measure(answering, links, run.settings, run.console)
    for one in stores:
        run.console.print(store_line(one), "red" if one.error else "dim")
    return stores_json(stores)
