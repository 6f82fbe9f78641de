"""The task `stats_status`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext


def task(fleet: Fleet) -> Any:
    """`stats_status` for `fleet`."""

    @ours()
    def stats_status(c: Context, json: bool = False) -> None:
        """Show whether envfab's own use is recorded and sent, which reports wait, and what switches it off."""
        from envfab.tasks.shared.usage_state import HOW, NOT_CONFIGURED, State

        run = TaskContext(fleet, c, json)
        state = State.read(fleet.usage_stats, os.environ) if fleet.usage_stats is not None else None
        with run.console as console:
            for line in state.lines() if state is not None else [f"{NOT_CONFIGURED}: {HOW}"]:
                console.print(line)
            if json:
                found = state.json() if state is not None else {}
                console.json({"format": 1, "configured": state is not None, **found})

    return stats_status
