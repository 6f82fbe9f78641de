"""The task `stats_show`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
import sys
import time
from collections.abc import Iterable
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.usage_recording import TaskRun
from envfab.util.counts import count


def task(fleet: Fleet) -> Any:
    """`stats_show` for `fleet`."""

    @ours()
    def stats_show(c: Context, json: bool = False) -> None:
        """Print the waiting reports exactly as they would be sent, and what is not; without any, show an example."""
        from envfab.tasks.shared.usage_reports import preview
        from envfab.tasks.shared.usage_state import State, configured, opened

        run, usage = TaskContext(fleet, c, json), configured(fleet)
        stats = opened(usage)
        reports = stats.pending()
        example = b"" if reports else preview(stats, TaskRun("stats_show", time.time()), "done", 0)
        with run.console as console:
            state = State.read(usage, os.environ)
            console.note(f"{count(len(reports), 'report')} for {state.server} · {state.meaning}")
            if example:
                console.note(f"a report looks like this:\n\n{_text(example)}")
            held = stats.held_back()
            if held:
                console.note("held back, since the server does not ask for it:\n\n" + _lines(held))
            if json:
                told = {"reports": [_text(one) for one in reports], "example": _text(example) or None}
                console.json({"format": 1, **told, "held_back": [list(entry) for entry in held]})
            else:
                sys.stdout.buffer.write(b"\n".join(reports))
                sys.stdout.flush()

    return stats_show


def _lines(entries: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{key}:{value}\n" for key, value in entries)


def _text(report: bytes) -> str:
    return report.decode("utf-8", "replace")
