"""The task `stats_submit`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from pathlib import Path
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count


def task(fleet: Fleet) -> Any:
    """`stats_submit` for `fleet`."""

    @ours()
    def stats_submit(c: Context, json: bool = False) -> None:
        """Send the waiting reports now, without the pause after a failure; only after you have opted in."""
        from envfab.tasks.shared.usage_state import State, configured, opened, shown_server, why_left

        run, usage = TaskContext(fleet, c, json), configured(fleet)
        stats = opened(usage)
        if not stats.sending:
            state = State.read(usage, os.environ)
            raise UsageError(state.meaning, hint="" if state.forbidden_by else "opt in with fab stats_enable")
        with run.console as console:
            before = len(stats.pending())
            if before:
                console.stage(f"sending to {shown_server(usage)}", before)
                stats.flush()
            left = len(stats.pending())
            console.print(f"{count(before - left, 'report')} sent" if before else "no reports are waiting")
            if json:
                console.json({"format": 1, "sent": before - left, "waiting": left})
        if left:
            why = why_left(Path(stats.location), stats.drop_point)
            raise EnvfabError(f"{count(left, 'report')} not accepted{why}; kept for later", where=shown_server(usage))

    return stats_submit
