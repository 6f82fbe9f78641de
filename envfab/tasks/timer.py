"""The task `timer`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.command_line import how_to_call
from envfab.tasks.shared.context import TaskContext
from envfab.util.paths import output_path

if TYPE_CHECKING:
    from envfab.registration.hooks.systemd import Timer
    from envfab.tasks.output.console import Console

# the tasks that a timer can run, with the flags that make them tell by their exit status
TIMED: Mapping[str, tuple[str, ...]] = {"plan": ("--check",), "register": (), "verify": ("--check",)}
# those of them that write metrics
MEASURED = ("plan", "verify")


def task(fleet: Fleet) -> Any:
    """`timer` for `fleet`."""

    @ours(
        "task",
        task=f"which task to run: {', '.join(TIMED)}",
        metrics=f"with {' and '.join(MEASURED)}: also write metrics to this file, as their own --metrics does",
        schedule="when, as in systemd.time(7) (default: every day at 4:37)",
        remove="stop the timer and remove its units",
    )
    def timer(c: Context, task: str = "", metrics: str = "", schedule: str = "", remove: bool = False) -> None:
        """Run a task by a systemd timer; the service fails where `plan` finds something to do, or `verify` drift."""
        from envfab.registration.hooks.activation import Call
        from envfab.registration.hooks.systemd import Timer

        run = TaskContext(fleet, c)
        if task not in TIMED:
            raise UsageError(f"{task!r} is not a task for a timer" if task else "timer needs a task",
                             hint=f"say one of: {', '.join(f'fab timer:{name}' for name in TIMED)}")  # fmt: skip
        if metrics and task not in MEASURED:
            raise UsageError(f"--metrics is of {' and '.join(MEASURED)}, not of {task}")
        place = ["--metrics", str(output_path(metrics, "--metrics").absolute())] if metrics and not remove else []
        folder, words = how_to_call(fleet, task)
        # what it measures does not make it another timer
        wanted = Timer(task, Call(folder, [*words, *TIMED[task]]), f"timer:{task}", place)
        with run.console as console:
            change_timer(console, wanted, schedule, remove)

    return timer


def change_timer(console: Console, wanted: Timer, schedule: str, remove: bool) -> None:
    """Install or remove a timer, and print what changed."""
    from envfab.registration.hooks import systemd

    if remove and schedule:
        raise UsageError("--schedule and --remove exclude each other")
    changed: list[Path] = systemd.remove(wanted) if remove else systemd.install(wanted, schedule or systemd.DAILY)
    for path in changed:
        console.print(f"{'removed' if remove else 'changed'}  {path}")
    if not changed:
        console.print("nothing to change")
    elif not remove and not systemd.stays_when_logged_out(os.environ):
        console.warning("the timer runs only while you are logged in; for always: sudo loginctl enable-linger $USER")
