"""The task `history`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import at_least, ours
from envfab.tasks.shared.context import TaskContext


def task(fleet: Fleet) -> Any:
    """`history` for `fleet`."""

    @ours(
        limit="how many deployments of each virtualenv (default: 10)",
        rollout="show the log of this rollout, which lies on this machine, instead; no host is contacted",
        output="with --rollout: all that was printed for this virtualenv",
    )
    def history(
        c: Context,
        name: Iterable[str] = (),
        limit: int = 10,
        rollout: str = "",
        output: str = "",
        json: bool = False,
    ) -> None:
        """Show what was deployed to each virtualenv, newest first."""
        from envfab.deployment.rollback import histories
        from envfab.tasks.output.history import history_json, show_history
        from envfab.tasks.shared.rollout_history import name_logs, print_log, refuse_without_rollout

        run = TaskContext(fleet, c, json)
        at_least(1, "--limit", limit)
        if rollout:
            print_log(run, rollout, list(name), output)
            return
        refuse_without_rollout(output)
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            with histories(members, links, run.settings, console) as arrivals:
                found = arrivals.all()
                for find, records in found:
                    console.print(show_history(find, records[::-1], limit))
            name_logs(run, [record.rollout for _, records in found for record in records[-limit:]])
            if json:
                console.json(
                    {"format": 1, "virtualenvs": [history_json(find, records, limit) for find, records in found]}
                )
        if any(find.error for find, _ in found):
            raise Exit(code=1)

    return history
