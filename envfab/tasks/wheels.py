"""The tasks of the wheelhouse: `add_wheel`, `wheels` and `verify_wheels`."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError, UsageError
from envfab.tasks.clock import local_time
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.tasks.output.console import Console
    from envfab.wheelhouse.add import Added
    from envfab.wheelhouse.repair import RepairResult
    from envfab.wheelhouse.wheelhouse import Listed, Wheelhouse

SHOWN_PROBLEMS = 3


def tasks(fleet: Fleet) -> list[Any]:
    """`add_wheel`, `wheels` and `verify_wheels` for `fleet`."""

    @ours(
        "file",
        True,
        file="a wheel to add, or a bundle that fetch_wheels wrote; repeatable",
        trust="take in wheels that were logged without a SHA-256 as well: log the hashes of these files",
    )
    def add_wheel(c: Context, file: Iterable[str] = (), trust: bool = False, json: bool = False) -> None:
        """Check wheels, copy them into the wheelhouse and log them with their SHA-256."""
        run = TaskContext(fleet, c, json)
        files = list(file)
        if not files:
            raise UsageError("add_wheel needs a file", hint="fab add_wheel:dist/shop-2.1-py3-none-any.whl")
        wheelhouse, console, added, refused = run.wheelhouse, run.console, [], []
        with console:
            console.stage("adding", len(files))
            trusting = _Trust(console, trust)
            for name in files:
                try:
                    taken = _take_in(wheelhouse, _file(name), trusting)
                except EnvfabError as error:
                    refused.append({"file": name, "error": str(error)})
                    console.print(f"refused  {error}", "red")
                    taken = []
                for one in taken:
                    notes = "   its SHA-256 was not logged before" if one.hash_is_new else ""
                    notes += f"   yanked: {one.yanked_reason}" if one.yanked_reason is not None else ""
                    console.print(f"{one.outcome.value:<8} {one.wheel.shown_as} {one.wheel.version}"
                                  f"   {one.wheel.filename}{notes}")  # fmt: skip
                    for note in one.notes:
                        console.warning(f"{one.wheel.filename}: {note}")
                    added.append(
                        {"file": name, "wheel": one.wheel.filename, "sha256": one.wheel.sha256,
                         "outcome": one.outcome.value, "hash_is_new": one.hash_is_new}
                    )  # fmt: skip
                console.advance("adding", name)
            if json:
                console.json({"format": 1, "added": added, "refused": refused})
        if refused:
            raise Exit(code=1)

    @ours()
    def wheels(c: Context, json: bool = False) -> None:
        """List the wheelhouse: versions, tags, dates, sizes, what is yanked or not logged."""
        run = TaskContext(fleet, c, json)
        wheelhouse = run.wheelhouse
        with run.console as console:
            listed = wheelhouse.list()
            console.print(wheelhouse_line(wheelhouse), "dim")
            warn_of_log(console, wheelhouse)
            for line in _table([_row(one) for one in listed]):
                console.print(line)
            if json:
                console.json({"format": 1, "wheels": [_listed_json(one) for one in listed]})

    @ours(
        repair="bring back what is missing or changed, from where the very file is, and lose nothing",
        from_="with --repair, a folder or an index's URL to take wheels from; repeatable (always: wheel_source)",
    )
    def verify_wheels(c: Context, repair: bool = False, from_: Iterable[str] = (), json: bool = False) -> None:
        """Compare every wheel with the log: changed, missing, not logged, no hash, unreadable; exit with 2 for any."""
        run = TaskContext(fleet, c, json)
        wheelhouse, places = run.wheelhouse, list(from_)
        if places and not repair:
            raise UsageError("--from is for --repair", hint="fab verify_wheels --repair --from …")
        with run.console as console:
            console.print(wheelhouse_line(wheelhouse), "dim")
            warn_of_log(console, wheelhouse)
            repairs = _repair(fleet, wheelhouse, console, places) if repair else []
            findings, why = list(wheelhouse.examine()), {one.filename: one.left for one in repairs}
            for finding in findings:
                console.print(f"{finding.fault.value:<10} {finding.filename}   {finding.detail}", "red")
                if why.get(finding.filename):
                    console.print(f"{'':<10} left as it is: {why[finding.filename]}")
            console.print(
                f"{many(len(findings), 'finding')}" if findings else "every wheel is as it was logged", "bold"
            )
            if json:
                found = [
                    {"wheel": one.filename, "fault": one.fault.value, "detail": one.detail,
                     "left": why.get(one.filename) or None}
                    for one in findings
                ]  # fmt: skip
                done = [{"file": one.filename, "done": one.done} for one in repairs if one.done]
                console.json({"format": 1, "findings": found, "repaired": done})
        if findings:
            raise Exit(code=2)

    return [add_wheel, wheels, verify_wheels]


def _repair(fleet: Fleet, wheelhouse: Wheelhouse, console: Console, places: list[str]) -> list[RepairResult]:
    """Mend the wheelhouse, with wheels from `places` and the fleet's `wheel_source`; what became of each finding."""
    from envfab.fetch.originals import originals
    from envfab.wheelhouse.repair import repair

    source = fleet.source_of_wheels()
    with originals([*places, *([source] if source else [])]) as found:
        repairs = []
        for one in repair(wheelhouse, found):
            repairs.append(one)
            if one.done:
                console.print(f"repaired   {one.filename}   {one.done}", "green")
            elif one.filename == wheelhouse.log.name:
                console.print(f"left       {one.filename}   {one.left}")
    return repairs


def _file(typed: str) -> Path:
    """The file that was typed; raises `UsageError` for what is none."""
    path = user_path(typed, "file")
    try:
        folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        if "://" in typed:
            raise UsageError("files are added, not addresses", where=typed, hint="download it first") from None
        if isinstance(error, PermissionError):
            raise UsageError("you may not look there", where=typed) from None
        pattern = any(letter in typed for letter in "*?[")
        hint = "the shell replaces a pattern that stands without quotes and matches files" if pattern else ""
        raise UsageError("there is no such file", where=typed, hint=hint) from None
    if folder:
        hint = f"fab add_wheel {shlex.quote(typed.rstrip('/'))}/*.whl"
        raise UsageError("is a folder: name the wheels in it", where=typed, hint=hint)
    return path


class _Trust:
    """Whether wheels that were logged without a SHA-256 come in: as `--trust` says, or an answer at the terminal."""

    def __init__(self, console: Console, given: bool) -> None:
        self._console = console
        self.given = given

    def ask(self, error: EnvfabError) -> bool:
        """Ask about one of them, where there is somebody to ask; "all" holds for the others, too."""
        if self._console.as_json or not self._console.can_ask:
            return False
        self._console.print(str(error).splitlines()[0], "yellow")
        question = "Log the SHA-256 of this file as its hash?  [y]es  [n]o  [a]ll such files"
        answer = self._console.ask(question, "yna")
        self.given = answer == "a"
        return answer in "ya"


def _take_in(wheelhouse: Wheelhouse, path: Path, trust: _Trust) -> list[Added]:
    """Add a wheel, or all wheels of a bundle; ask about one that was logged without a SHA-256."""
    from envfab.fetch.bundle import add_bundle, is_bundle
    from envfab.wheelhouse.add import UnknownHash

    def add(trusted: bool) -> list[Added]:
        if is_bundle(path):
            return add_bundle(path, wheelhouse, trust=trusted)
        return [wheelhouse.add(path, trust=trusted)]

    try:
        return add(trust.given)
    except UnknownHash as error:
        if not trust.ask(error):
            raise
        return add(True)


def wheelhouse_line(wheelhouse: Wheelhouse) -> str:
    """The wheelhouse in one line: `wheelhouse  wheels · 214 wheels of 61 projects · log intact`."""
    wheels, projects = wheelhouse.size()
    problems = wheelhouse.problems()
    there = f"{many(wheels, 'wheel')} of {many(projects, 'project')}" if wheelhouse.wheels.exists() else "not there"
    unlogged = len(wheelhouse.all_unlogged())
    there += f", {unlogged} not logged" if unlogged else ""
    log = f"{many(len(problems), 'line')} of the log skipped" if problems else "log intact"
    if not wheelhouse.log.exists():
        log = f"no log, {_shown(wheelhouse.log)} is not there"
    return f"wheelhouse  {_shown(wheelhouse.wheels)} · {there} · {log}"


def warn_of_log(console: Console, wheelhouse: Wheelhouse) -> None:
    """Tell of the lines of the release log that nobody can read; a few of them stand for all."""
    problems = wheelhouse.problems()
    for problem in problems[:SHOWN_PROBLEMS]:
        console.warning(f"{_shown(wheelhouse.log)}: {problem}")
    if len(problems) > SHOWN_PROBLEMS:
        console.warning(f"{_shown(wheelhouse.log)}: and {len(problems) - SHOWN_PROBLEMS} more such lines")


def warn_of_wheelhouse(console: Console, wheelhouse: Wheelhouse) -> None:
    """`warn_of_log`, and tell of wheels without which plans go by older ones, and of those that are not logged."""
    warn_of_log(console, wheelhouse)
    unlogged = wheelhouse.all_unlogged()
    for _wheel, place in unlogged[:SHOWN_PROBLEMS]:
        console.warning(f"{place} is not logged, and no plan uses it: fab add_wheel {place}")
    if len(unlogged) > SHOWN_PROBLEMS:
        console.warning(f"and {len(unlogged) - SHOWN_PROBLEMS} more that are not logged: see fab wheels")
    lost = wheelhouse.lost()
    for wheel in lost[:SHOWN_PROBLEMS]:
        console.warning(f"{wheel.filename} is logged, but gone, and no other of it is as new: see fab verify_wheels")
    if len(lost) > SHOWN_PROBLEMS:
        console.warning(f"and {len(lost) - SHOWN_PROBLEMS} more such wheels")


def _shown(path: Path) -> str:
    """A path below the working directory without it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def many(number: int, what: str) -> str:
    """`1 wheel`, `2 wheels`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _row(one: Listed) -> tuple[str, ...]:
    from envfab.wheelhouse.release_log.records import moment

    tags = sorted({f"{tag.interpreter}-{tag.abi}-{tag.platform}" for tag in one.wheel.tags})
    shown = tags[0] if len(tags) == 1 else f"{tags[0]} and {len(tags) - 1} more"
    notes = [f"yanked: {one.yanked_reason}"] if one.yanked_reason is not None else []
    notes += [] if one.logged else ["not logged: fab add_wheel it"]
    notes += ["the file is missing"] if one.size is None else []
    added = local_time(moment(one.added)) if one.added else ""
    size = _bytes(one.size) if one.size is not None else ""
    return one.wheel.shown_as, str(one.wheel.version), shown, added, size, "; ".join(notes)


def _bytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return ["no wheels yet: fab add_wheel:FILE"]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _listed_json(one: Listed) -> dict[str, Any]:
    return {
        "name": one.wheel.shown_as,
        "version": str(one.wheel.version),
        "wheel": one.wheel.filename,
        "tags": sorted(str(tag) for tag in one.wheel.tags),
        "sha256": one.wheel.sha256,
        "added": one.added.isoformat() if one.added else None,
        "size": one.size,
        "logged": one.logged,
        "yanked": one.yanked_reason,
    }
