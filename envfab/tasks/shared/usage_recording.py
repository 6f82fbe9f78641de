"""Recording of envfab's own use, only where a fleet configures `usage_stats`.

A report has the task, its number of targets, its time and how it ended, beside versions and the operating system; never
a name, host, user, path, package or file. The library that keeps and sends reports is loaded after a task has ended.
"""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import functools
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.servers import UsageStats
from envfab.errors import EnvfabError

if TYPE_CHECKING:
    from envfab.tasks.fabric1.task import Task

Entries = list[tuple[str, object]]


@dataclass(slots=True)
class TaskRun:
    """One call of a task; `targets` is None where it chooses none."""

    task: str
    began: float
    targets: int | None = None

    def entries(self, ended: str, status: int) -> Entries:
        """Return the report's entries beside versions, system and time."""
        counted: Entries = [] if self.targets is None else [("targets", self.targets)]
        return [("task", self.task), *counted, ("ended", ended), ("exit_status", status)]


# A task's body makes its `TaskContext` itself, so that the run under way can only be found, not handed on.
_UNDER_WAY: ContextVar[TaskRun | None] = ContextVar("envfab_run_under_way", default=None)


def note_targets(number: int) -> None:
    """Note how many targets the running task chose, if it is recorded; of several numbers the largest counts."""
    run = _UNDER_WAY.get()
    if run is not None:
        run.targets = max(run.targets or 0, number)


def record(tasks: Sequence[Task], fleet: Fleet, usage: UsageStats) -> None:
    """Have each of the fleet's `tasks` recorded."""
    for task in tasks:
        task.body = _recorded(task, fleet, usage)


def ending(error: BaseException | None) -> tuple[str, int]:
    """Return (how a task ended, in a word; its exit status)."""
    if error is None:
        return "done", 0
    if isinstance(error, Exit):
        return {0: "done", 2: "found"}.get(error.code, "failed"), error.code
    if isinstance(error, EnvfabError):
        return _kind(error), 1
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "crashed", 1


def _kind(error: EnvfabError) -> str:
    """Return the name of the error's class, or of its nearest base class in envfab."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "envfab")


def _recorded(task: Task, fleet: Fleet, usage: UsageStats) -> Callable[..., Any]:
    """Return the body of `task`, which then keeps a report however it ends."""
    body, name = task.body, task.name

    @functools.wraps(body)
    def run_and_note(*args: Any, **kwargs: Any) -> Any:
        run = TaskRun(name, time.time())
        token = _UNDER_WAY.set(run)
        ended, status = "done", 0
        try:
            return body(*args, **kwargs)
        except BaseException as error:
            ended, status = ending(error)
            raise
        finally:
            _UNDER_WAY.reset(token)
            # with --json, or after a failure, the user is not asked
            may_ask = ended == "done" and not kwargs.get("json")
            from envfab.tasks.shared.usage_reports import note

            note(run, usage, ended, status, fleet if may_ask else None)

    return run_and_note
