"""The task `stats_disable`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours


def task(fleet: Fleet) -> Any:
    """`stats_disable` for `fleet`."""

    @ours()
    def stats_disable(c: Context) -> None:
        """Opt out: record and send nothing any more, and delete what was kept."""
        from envfab.tasks.usage_state import configured, opened, unkept

        run, stats = TaskContext(fleet, c), opened(configured(fleet))
        kept, forgotten = stats.disable_reporting(), stats.forget_user()
        if not kept:
            raise unkept(stats)
        if not forgotten or stats.pending():
            raise EnvfabError("cannot delete the reports", where=stats.location, hint="delete that folder")
        with run.console as console:
            console.print("disabled: nothing is recorded or sent, and what was kept is deleted")

    return stats_disable
