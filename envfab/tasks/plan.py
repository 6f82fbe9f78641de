"""The task `plan`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.command_line import command, flags
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import show_wheelhouse
from envfab.util.paths import output_path


def task(fleet: Fleet) -> Any:
    """`plan` for `fleet`."""

    @ours(
        check="exit with 2 if there is something to do",
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
            if place is not None:
                from envfab.deployment.plan_file import save

                save(place, plans_json(proposals))
                run.console.command(f"saved to {out}, for", command(fleet, "deploy", *flags(plan=out)))
            if json:
                run.console.json(plans_json(proposals))
        statuses = {proposal.plan.status for proposal in proposals}
        if statuses & UNPLANNABLE:
            raise Exit(code=1)
        if check and Status.CHANGES in statuses:
            raise Exit(code=2)

    return plan
