"""The wheelhouse in a line, and warnings about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from envfab.config.fleet import Fleet
from envfab.util.counts import count
from envfab.util.untrusted import shown_url

if TYPE_CHECKING:
    from envfab.tasks.output.console import Console
    from envfab.wheelhouse.wheelhouse import Wheelhouse

SHOWN_PROBLEMS = 3


def show_wheelhouse(console: Console, wheelhouse: Wheelhouse, fleet: Fleet) -> None:
    """Print the wheelhouse in one line, with where targets fetch wheels from, and its warnings."""
    console.print(wheelhouse_line(wheelhouse) + _source(fleet), "dim")
    warn_of_wheelhouse(console, wheelhouse)


def _source(fleet: Fleet) -> str:
    if not fleet.wheel_source:
        return ""
    shown = "wheel_source" if callable(fleet.wheel_source) else shown_url(fleet.wheel_source)
    return f" · fetched from {shown}"


def wheelhouse_line(wheelhouse: Wheelhouse) -> str:
    """Return the wheelhouse in one line, and what is to be said of its log, if anything is.

    For example `wheelhouse  wheels · 214 wheels of 61 projects · log signed`.
    """
    return "wheelhouse  " + " · ".join([_shown(wheelhouse.wheels), _wheels(wheelhouse), *_log(wheelhouse)])


def _wheels(wheelhouse: Wheelhouse) -> str:
    if not wheelhouse.wheels.exists():
        return "does not exist yet: fab add_wheel creates it"
    wheels, projects = wheelhouse.size()
    unlogged = len(wheelhouse.all_unlogged())
    there = f"{count(wheels, 'wheel')} of {count(projects, 'project')}"
    return f"{there}, {unlogged} not logged" if unlogged else there


def _log(wheelhouse: Wheelhouse) -> list[str]:
    if not wheelhouse.log.exists():
        return [f"{_shown(wheelhouse.log)} does not exist"]
    problems = wheelhouse.problems()
    skipped = [f"{count(len(problems), 'line')} of the log skipped"] if problems else []
    return [*skipped, *(["log signed"] if wheelhouse.signers is not None else [])]


def warn_of_log(console: Console, wheelhouse: Wheelhouse) -> None:
    """Warn of unreadable lines of the release log: the first few, and how many more there are."""
    problems = wheelhouse.problems()
    for problem in problems[:SHOWN_PROBLEMS]:
        console.warning(f"{_shown(wheelhouse.log)}: {problem}")
    if len(problems) > SHOWN_PROBLEMS:
        console.warning(f"{_shown(wheelhouse.log)}: and {len(problems) - SHOWN_PROBLEMS} more such lines")


def warn_of_wheelhouse(console: Console, wheelhouse: Wheelhouse) -> None:
    """Warn as `warn_of_log`, and of wheels that are not logged or lost, so that plans use older ones."""
    warn_of_log(console, wheelhouse)
    unlogged = wheelhouse.all_unlogged()
    for _wheel, place in unlogged[:SHOWN_PROBLEMS]:
        console.warning(f"{place} is not logged, so no plan uses it: fab add_wheel {place}")
    if len(unlogged) > SHOWN_PROBLEMS:
        console.warning(f"and {len(unlogged) - SHOWN_PROBLEMS} more that are not logged: see fab wheels")
    lost = wheelhouse.lost()
    for wheel in lost[:SHOWN_PROBLEMS]:
        others = wheelhouse.releases(wheel.name)
        rest = "the others of its project are older" if others else "there is no other of its project"
        console.warning(f"{wheel.filename} is logged but missing, and {rest}: see fab verify_wheels")
    if len(lost) > SHOWN_PROBLEMS:
        console.warning(f"and {len(lost) - SHOWN_PROBLEMS} more such wheels")


def _shown(path: Path) -> str:
    """Return a path relative to the working directory where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
