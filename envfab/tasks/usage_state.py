"""The tasks `stats_enable`, `stats_disable`, `stats_status`, `stats_show` and `stats_submit`: envfab's own use.

They are not recorded themselves: what `stats_show` prints is what `stats_submit` sends, and nothing more.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.config.servers import UsageStats
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.command_line import spoken_name
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.usage_recording import ENV_VAR, TaskRun, folder_of, open_statistics, preview

if TYPE_CHECKING:
    from envfab.usagestats import Stats

NOT_CONFIGURED = "the fleet has no usage statistics"
HOW = "say Fleet(usage_stats=UsageStats(URL)) in the fabfile"
HOMELESS = "there is no home folder of your own to keep usage statistics in, so nothing is recorded"
MEANING = {
    "enabled": "enabled: reports are sent",
    "disabled": "disabled: nothing is recorded",
    "unset": "not chosen yet: reports are kept, and nothing is sent",
    "unreadable": "the choice cannot be read: nothing is recorded",
}


def tasks(fleet: Fleet) -> list[Any]:
    """`stats_enable`, `stats_disable`, `stats_status`, `stats_show` and `stats_submit` for `fleet`, in this order."""

    @ours()
    def stats_enable(c: Context) -> None:
        """Opt in: anonymous reports of envfab's own use are sent, those kept so far with the next one."""
        run, usage = TaskContext(fleet, c), _configured(fleet)
        stats = _open(usage)
        if not stats.enable_reporting():
            raise _unkept(stats)
        waiting = len(stats.pending())
        with run.console as console:
            console.print(f"enabled: reports go to {_server(usage)}")
            if waiting:
                console.print(
                    f"{_reports(waiting)} kept so far: sent with the next one, or now by {_say(stats_submit)}"
                )
            for name in forbidding(os.environ):
                console.warning(f"as long as {name} is set, nothing is recorded or sent")

    @ours()
    def stats_disable(c: Context) -> None:
        """Opt out: nothing is recorded or sent any more, and what was kept is deleted."""
        run, stats = TaskContext(fleet, c), _open(_configured(fleet))
        kept, forgotten = stats.disable_reporting(), stats.forget_user()
        if not kept:
            raise _unkept(stats)
        if not forgotten or stats.pending():
            raise EnvfabError("the reports there cannot be deleted", where=stats.location, hint="delete that folder")
        with run.console as console:
            console.print("disabled: nothing is recorded or sent, and what was kept is deleted")

    @ours()
    def stats_status(c: Context, json: bool = False) -> None:
        """Show whether envfab's own use is recorded and sent, what waits and where, and what switches it off."""
        run = TaskContext(fleet, c, json)
        state = State.read(fleet.usage_stats, os.environ) if fleet.usage_stats is not None else None
        with run.console as console:
            for line in state.lines() if state is not None else [f"{NOT_CONFIGURED}: {HOW}"]:
                console.print(line)
            if json:
                found = state.json() if state is not None else {}
                console.json({"format": 1, "configured": state is not None, **found})

    @ours()
    def stats_show(c: Context, json: bool = False) -> None:
        """Print the reports that wait, exactly as they would be sent; where none waits, show what one is like."""
        run, usage = TaskContext(fleet, c, json), _configured(fleet)
        stats = _open(usage)
        reports = stats.pending()
        example = b"" if reports else preview(stats, TaskRun(stats_show.name, time.time()), "done", 0)
        with run.console as console:
            state = State.read(usage, os.environ)
            console.note(f"{_reports(len(reports))} for {state.server} · {state.meaning}")
            if example:
                console.note(f"what the report of a task like this one would be:\n\n{_text(example)}")
            if json:
                told = {"reports": [_text(one) for one in reports], "example": _text(example) or None}
                console.json({"format": 1, **told})
            else:
                sys.stdout.buffer.write(b"\n".join(reports))
                sys.stdout.flush()

    @ours()
    def stats_submit(c: Context, json: bool = False) -> None:
        """Send the reports that wait, now, whatever the pause after a failure; only after you have opted in."""
        run, usage = TaskContext(fleet, c, json), _configured(fleet)
        stats = _open(usage)
        if not stats.sending:
            state = State.read(usage, os.environ)
            raise UsageError(state.meaning, hint="" if state.forbidden_by else f"opt in with {_say(stats_enable)}")
        with run.console as console:
            before = len(stats.pending())
            if before:
                console.stage(f"sending to {_server(usage)}", before)
                stats.flush()
            left = len(stats.pending())
            console.print(f"{_reports(before - left)} sent" if before else "no report waits")
            if json:
                console.json({"format": 1, "sent": before - left, "waiting": left})
        if left:
            why = _why_not(Path(stats.location))
            raise EnvfabError(f"{_reports(left)} not taken{why}; kept for another time", where=_server(usage))

    return [stats_enable, stats_disable, stats_status, stats_show, stats_submit]


def forbidding(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that switch statistics off, whatever the user chose."""
    from envfab.usagestats.consent import environment_forbids

    return tuple(name for name in sorted(environ) if environment_forbids({name: environ[name]}, ENV_VAR, skip_ci=True))


@dataclass(frozen=True, slots=True)
class State:
    """What `stats_status` tells; found without writing anything."""

    server: str
    folder: Path | None
    status: str
    waiting: int
    forbidden_by: tuple[str, ...]

    @classmethod
    def read(cls, usage: UsageStats, environ: Mapping[str, str]) -> State:
        """How things stand now."""
        from envfab.usagestats.queue import Queue

        folder = folder_of(usage)
        waiting = len(Queue(folder).names()) if folder is not None else 0
        return cls(_server(usage), folder, _choice(folder), waiting, forbidding(environ))

    @property
    def meaning(self) -> str:
        """What becomes of reports now."""
        if self.folder is None:
            return HOMELESS
        if self.forbidden_by:
            return f"switched off by {_and(self.forbidden_by)}: nothing is recorded or sent"
        return MEANING[self.status]

    def lines(self) -> Iterable[str]:
        """For people."""
        yield f"status   {self.meaning}"
        if self.forbidden_by:
            yield f"         without {_and(self.forbidden_by)}: {MEANING[self.status]}"
        yield f"server   {self.server}"
        if self.folder is not None:
            yield f"kept in  {self.folder}"
            yield f"waiting  {_reports(self.waiting)}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "status": self.status,
            "recorded": self.folder is not None and not self.forbidden_by and self.status in ("unset", "enabled"),
            "server": self.server,
            "folder": str(self.folder) if self.folder is not None else None,
            "waiting": self.waiting,
            "forbidden_by": list(self.forbidden_by),
        }


def _choice(folder: Path | None) -> str:
    from envfab.usagestats.consent import read_choice

    try:
        word = read_choice(folder) if folder is not None else None
    except OSError:
        return "unreadable"
    return {"ENABLED": "enabled", "DISABLED": "disabled"}.get(word or "", "unset")


def _configured(fleet: Fleet) -> UsageStats:
    if fleet.usage_stats is None:
        raise UsageError(NOT_CONFIGURED, hint=HOW)
    return fleet.usage_stats


def _why_not(folder: Path) -> str:
    """Why reports are left after all were tried, as far as the library notes it."""
    from envfab.usagestats.delivery import RETRY
    from envfab.usagestats.pause import parse_pauses

    try:
        pauses = parse_pauses((folder / RETRY).read_bytes())
    except OSError:
        return ""
    if pauses.server.failures:
        return " (no answer came, or one that tells of trouble at the server)"
    return " (the server refused them)" if pauses.reports else ""


def _open(usage: UsageStats) -> Stats:
    stats = open_statistics(usage)
    if stats is None:
        raise EnvfabError(HOMELESS, hint="set HOME or XDG_STATE_HOME")
    return stats


def _unkept(stats: Stats) -> EnvfabError:
    return EnvfabError(
        "your choice cannot be kept there", where=stats.location, hint=f"make it writable, or set {ENV_VAR}=off"
    )


def _server(usage: UsageStats) -> str:
    from envfab.util.untrusted import shown_url

    return shown_url(usage.url)


def _say(one: Any) -> str:
    """How to call a task of ours; by its own name, where the fabfile left it out."""
    return f"fab {spoken_name(one) or one.name}"


def _reports(number: int) -> str:
    return f"{number} report" if number == 1 else f"{number} reports"


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names)


def _text(report: bytes) -> str:
    return report.decode("utf-8", "replace")
