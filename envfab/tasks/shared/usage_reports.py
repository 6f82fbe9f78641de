"""Reports of envfab's own use: kept, shown and sent by `envfab.usagestats`."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from envfab.config.fleet import Fleet
from envfab.config.servers import UsageStats
from envfab.tasks.shared.command_line import spoken_name
from envfab.tasks.shared.usage_recording import TaskRun
from envfab.usagestats import OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME, Prompt, Stats
from envfab.usagestats.queue import write_atomically
from envfab.usagestats.quiet import quietly
from envfab.util.state_folder import state_folder
from envfab.util.times import DAY
from envfab.version import VERSION

ENV_VAR = "PYTHON_USAGE_STATS"
ASKED = "asked"  # beside the library's own files: its age says when the user was last shown the prompt


def open_statistics(usage: UsageStats) -> Stats | None:
    """Open the reports for the server of `usage`, and the user's choice; None where the user has no home."""
    folder = folder_of(usage)
    if folder is None:
        return None
    return Stats(
        folder, Prompt(""), usage.url, VERSION, unique_user_id=True, env_var=ENV_VAR, skip_ci=True, erasable=True
    )


def submit(stats: Stats, run: TaskRun, ended: str, status: int) -> None:
    """Keep the report of `run`, and send it if the user has opted in."""
    stats.started_time = run.began
    stats.submit(run.entries(ended, status), OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)


def preview(stats: Stats, run: TaskRun, ended: str, status: int) -> bytes:
    """Return the bytes that `submit` would send; empty where nothing is recorded."""
    stats.started_time = run.began
    return stats.preview(run.entries(ended, status), OPERATING_SYSTEM, PYTHON_VERSION, SESSION_TIME)


def folder_of(usage: UsageStats) -> Path | None:
    """Return the folder of choice and reports in the user's state folder: one per server, since consent is for one
    server."""
    state = state_folder(os.environ)
    if state is None or is_anothers(state, os.geteuid()):
        return None
    parts = urlsplit(usage.url)
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    digest = hashlib.sha256(server.encode("utf-8", "replace")).hexdigest()[:12]
    return state / "usage_stats" / f"{parts.hostname}-{digest}"


def is_anothers(folder: Path, user: int) -> bool:
    """Whether root (`sudo fab`) works in another user's home, where root's files would be in that user's way."""
    if user != 0:
        return False
    return next(place for place in (folder, *folder.parents) if os.path.exists(place)).stat().st_uid != 0


def note(run: TaskRun, usage: UsageStats, ended: str, status: int, fleet: Fleet | None) -> None:
    """Keep a report, and ask for consent if that is due; errors are ignored."""
    with quietly("record a task"):
        stats = open_statistics(usage)
        if stats is None:
            return
        with quietly("ask for consent"):
            if fleet and stats.status == stats.UNSET and _is_at_terminal() and _is_due(Path(stats.location)):
                stats.prompt.prompt = _prompt(fleet)
        submit(stats, run, ended, status)


def _prompt(fleet: Fleet) -> str:
    """Return the prompt with the commands of this fabfile; empty where it does not have them."""
    names = spoken_name(fleet, "stats_enable"), spoken_name(fleet, "stats_disable")
    return Prompt(enable=f"fab {names[0]}", disable=f"fab {names[1]}").prompt if all(names) else ""


def _is_at_terminal() -> bool:
    """Whether standard input, output and error are terminals: not a pipe, a log file or cron."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _is_due(folder: Path) -> bool:
    """Whether the prompt is due, which counts as shown then; never where that cannot be saved."""
    try:
        asked = (folder / ASKED).stat().st_mtime
    except FileNotFoundError:
        asked = 0.0
    # a time ahead shows a clock that was set back
    return not 0 <= time.time() - asked < DAY and write_atomically(folder / ASKED, b"")
