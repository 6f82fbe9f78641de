"""The task `stats_enable`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count


def task(fleet: Fleet) -> Any:
    """`stats_enable` for `fleet`."""

    @ours()
    def stats_enable(c: Context) -> None:
        """Opt in: send reports of envfab's own use, and with the next one those kept so far."""
        from envfab.tasks.shared.usage_state import configured, forbidding, opened, shown_server, unkept

        run, usage = TaskContext(fleet, c), configured(fleet)
        stats = opened(usage)
        if not stats.enable_reporting():
            raise unkept(stats)
        waiting = len(stats.pending())
        with run.console as console:
            console.print(f"enabled: reports go to {shown_server(usage)}")
            if waiting:
                console.print(
                    f"{count(waiting, 'report')} kept so far: sent with the next one, or now with fab stats_submit"
                )
            for name in forbidding(os.environ):
                console.warning(f"nothing is recorded or sent while {name} is set")

    return stats_enable
