"""Repair of the wheelhouse where nothing can be lost.

A logged wheel that is missing or changed is restored from a file with the logged SHA-256. A changed file is set aside,
never overwritten. Nothing is logged without the user, and only temporary files of an interrupted `add_wheel` are
deleted.
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from envfab.errors import EnvfabError, WheelhouseError
from envfab.models.wheel import Wheel
from envfab.util.atomic import sync_folder
from envfab.wheelhouse.listed_wheels import Fault, FaultyFile
from envfab.wheelhouse.validate import sha256_of
from envfab.wheelhouse.wheelhouse import Wheelhouse


class Originals(Protocol):
    """A place that may have a logged wheel."""

    @property
    def name(self) -> str:
        """Its name in messages."""
        ...

    def find(self, wheel: Wheel) -> Path | None:
        """Return the file with the logged SHA-256, or None; raises `EnvfabError` where the place cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class RepairResult:
    """The result for one finding: what was `done`, or why it was `left` as it is."""

    filename: str
    done: str = ""
    left: str = ""


def repair(wheelhouse: Wheelhouse, originals: Sequence[Originals]) -> Iterator[RepairResult]:
    """Repair what can be repaired, and yield each result; raises `WheelhouseError` where the log cannot be read."""
    if ended := wheelhouse.end_torn_line():
        yield RepairResult(wheelhouse.log.name, done=f"added the missing end of its last line: {ended}")
    if problems := len(wheelhouse.problems()):
        left = "1 unreadable line stays" if problems == 1 else f"{problems} unreadable lines stay"
        yield RepairResult(
            wheelhouse.log.name, left=f"{left}, since the log is append-only: add the wheels concerned again"
        )
    for name in wheelhouse.clear_abandoned():
        yield RepairResult(
            name, done="removed: a temporary file that an interrupted add_wheel left more than a day ago"
        )
    logged = {listed.wheel.filename: listed.wheel for listed in wheelhouse.list() if listed.logged}
    for finding in list(wheelhouse.examine()):
        wheel = logged.get(finding.filename)
        try:
            yield RepairResult(finding.filename, done=_repaired(finding, wheel, wheelhouse, originals))
        except EnvfabError as why:
            yield RepairResult(finding.filename, left=_in_a_line(why))


def _repaired(finding: FaultyFile, wheel: Wheel | None, wheelhouse: Wheelhouse, originals: Sequence[Originals]) -> str:
    """Repair a finding, and return what was done; raises `EnvfabError` with the reason where nothing was."""
    if finding.fault is Fault.UNREADABLE:
        raise WheelhouseError("only you can tell what it is: make it readable, or move it away")
    if wheel is None:
        shown = shlex.quote(str(wheelhouse.wheels / finding.filename))
        raise WheelhouseError(f"it is not logged: add it with fab add_wheel {shown}, or move it away")
    if wheel.sha256 is None:
        missing = finding.fault is Fault.MISSING
        shown = "FILE" if missing else shlex.quote(str(wheelhouse.wheels / finding.filename))
        raise WheelhouseError(
            "without a logged SHA-256, copies cannot be told apart: compare the file with its source, "
            f"then fab add_wheel --trust {shown}"
        )
    source, original = _found(wheel, originals)
    if finding.fault is Fault.MISSING:
        wheelhouse.add(original)
        return f"restored from {source.name}"
    place = wheelhouse.path_of(wheel)
    aside = _set_aside(place)
    try:
        wheelhouse.add(original)
    except EnvfabError:
        aside.unlink(missing_ok=True)
        raise
    return f"restored from {source.name}; the changed file is now {aside.name}"


def _found(wheel: Wheel, originals: Sequence[Originals]) -> tuple[Originals, Path]:
    """Return (the place, the file) of the logged file; raises `WheelhouseError` with all that was tried."""
    problems = []
    for source in originals:
        try:
            if path := source.find(wheel):
                return source, path
            problems.append(f"{source.name} does not have the file that was logged")
        except EnvfabError as error:
            problems.append(_in_a_line(error))
    raise WheelhouseError("; ".join(problems) or "no copy was found: name a folder or an index that has it with --from")


def _set_aside(place: Path) -> Path:
    """Give a file a second name, which is not a wheel's, so that it stays when another file takes its place."""
    name = f"{place.name}.changed-{sha256_of(place)[:12]}"
    for number in itertools.count(1):
        aside = place.with_name(name if number == 1 else f"{name}-{number}")
        try:
            os.link(place, aside)
            break
        except FileExistsError:
            continue
        except OSError:
            # a file system without links
            if not aside.exists():
                shutil.copy2(place, aside)
                break
    sync_folder(place.parent)
    return aside


def _in_a_line(error: EnvfabError) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines())
