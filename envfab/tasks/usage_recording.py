"""What envfab notes of its own use, only where a fleet configures `usage_stats`.

Which task ran, how many targets it had, how long it took and how it ended, beside versions and the operating system;
never a name, a host, a user, a path, a package or a file. The library that keeps and sends reports is loaded when a
task has ended, and only then.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.servers import UsageStats
from envfab.errors import EnvfabError

if TYPE_CHECKING:
    from envfab.tasks.fabric1.task import Task
    from envfab.usagestats import Stats

Entries = list[tuple[str, object]]
ENV_VAR = "PYTHON_USAGE_STATS"
ASKED = "asked"  # beside the library's own files: its age says when the user was last shown the prompt
DAY = 24 * 3600.0  # seconds


@dataclass(slots=True)
class TaskRun:
    """One call of a task; `targets` is None where it chooses none."""

    task: str
    began: float
    targets: int | None = None

    def entries(self, ended: str, status: int) -> Entries:
        """What its report says beside versions, system and time."""
        counted: Entries = [] if self.targets is None else [("targets", self.targets)]
        return [("task", self.task), *counted, ("ended", ended), ("exit_status", status)]


# A task's body makes its `TaskContext` itself, so that the run under way can only be found, not handed on.
_UNDER_WAY: ContextVar[TaskRun | None] = ContextVar("envfab_run_under_way", default=None)


def note_targets(number: int) -> None:
    """Tell the run under way, if it is recorded, how many targets were chosen; of several numbers the largest."""
    run = _UNDER_WAY.get()
    if run is not None:
        run.targets = max(run.targets or 0, number)


def record(tasks: Sequence[Task], fleet: Fleet, usage: UsageStats) -> None:
    """Have each of the fleet's `tasks` recorded."""
    for task in tasks:
        task.body = _recorded(task, usage, lambda: _ask(fleet))


def open_statistics(usage: UsageStats) -> Stats | None:
    """The reports for the server of `usage`, and the user's choice; None where there is no home of the user's own."""
    from envfab import __version__
    from envfab.usagestats import Prompt, Stats

    folder = folder_of(usage)
    if folder is None:
        return None
    return Stats(folder, Prompt(""), usage.url, __version__, unique_user_id=True, env_var=ENV_VAR, skip_ci=True)


def submit(stats: Stats, run: TaskRun, ended: str, status: int) -> None:
    """Keep the report of `run`, and send it if the user has opted in."""
    from envfab.usagestats import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME

    stats.started_time = run.began
    stats.submit(run.entries(ended, status), OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)


def preview(stats: Stats, run: TaskRun, ended: str, status: int) -> bytes:
    """The bytes that `submit` would send; none where nothing is recorded."""
    from envfab.usagestats import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME

    stats.started_time = run.began
    return stats.preview(run.entries(ended, status), OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)


def folder_of(usage: UsageStats) -> Path | None:
    """Where choice and reports lie, in the user's state folder: one folder a server, since consent is given to one."""
    from envfab.registration.state_files import state_folder

    state = state_folder(os.environ)
    if state is None or is_anothers(state, os.geteuid()):
        return None
    parts = urlsplit(usage.url)
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    digest = hashlib.sha256(server.encode("utf-8", "replace")).hexdigest()[:12]
    return state / "usage_stats" / f"{parts.hostname}-{digest}"


def is_anothers(folder: Path, user: int) -> bool:
    """Whether root (`sudo fab`) works in somebody else's home: what it left there would be in that user's way."""
    if user != 0:
        return False
    return next(place for place in (folder, *folder.parents) if os.path.exists(place)).stat().st_uid != 0


def ending(error: BaseException | None) -> tuple[str, int]:
    """How a task ended, in a word, and the exit status that follows."""
    if error is None:
        return "done", 0
    if isinstance(error, Exit):
        return {0: "done", 2: "found"}.get(error.code, "failed"), error.code
    if isinstance(error, EnvfabError):
        return _kind(error), 1
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "crashed", 1


def _kind(error: EnvfabError) -> str:
    """The name of the error's class; of a fabfile's own, that of the nearest class of ours."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__.partition(".")[0] == "envfab")


def _recorded(task: Task, usage: UsageStats, ask: Callable[[], str]) -> Callable[..., Any]:
    """The body of `task`, with its report kept when it has ended, however it ends."""
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
            # whoever reads JSON, or has just seen something fail, is not asked
            may_ask = ended == "done" and not kwargs.get("json")
            _note(run, usage, ended, status, ask if may_ask else None)

    return run_and_note


def _note(run: TaskRun, usage: UsageStats, ended: str, status: int, ask: Callable[[], str] | None) -> None:
    """Keep a report; whatever goes wrong with it is nobody's business."""
    from envfab.usagestats.quiet import quietly

    with quietly("record a task"):
        stats = open_statistics(usage)
        if stats is None:
            return
        with quietly("ask for consent"):
            if ask and stats.status == stats.UNSET and _somebody_is_there() and _is_due(Path(stats.location)):
                stats.prompt.prompt = ask()
        submit(stats, run, ended, status)


def _ask(fleet: Fleet) -> str:
    """The prompt, with the commands as this fabfile names them; nothing where it left them out."""
    from envfab.tasks.command_line import spoken_name
    from envfab.usagestats import Prompt

    names = spoken_name(fleet, "stats_enable"), spoken_name(fleet, "stats_disable")
    return Prompt(enable=f"fab {names[0]}", disable=f"fab {names[1]}").prompt if all(names) else ""


def _somebody_is_there() -> bool:
    """Whether a person sees what is printed: no pipe, no log file, no cron."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _is_due(folder: Path) -> bool:
    """Whether the prompt is due; it counts as shown now. Where that cannot be kept it is never due."""
    from envfab.usagestats.queue import write_atomically

    try:
        asked = (folder / ASKED).stat().st_mtime
    except FileNotFoundError:
        asked = 0.0
    # a time ahead shows a clock that was set back
    return not 0 <= time.time() - asked < DAY and write_atomically(folder / ASKED, b"")
