"""The task `verify_wheels`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import warn_of_log, wheelhouse_line
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count

if TYPE_CHECKING:
    from envfab.tasks.output.console import Console
    from envfab.wheelhouse.repair import RepairResult
    from envfab.wheelhouse.wheelhouse import Wheelhouse


def task(fleet: Fleet) -> Any:
    """`verify_wheels` for `fleet`."""

    @ours(
        repair="restore missing and changed wheels from identical files; nothing is lost",
        from_="with --repair, a folder or the URL of an index to restore from, besides wheel_source; repeatable",
    )
    def verify_wheels(c: Context, repair: bool = False, from_: Iterable[str] = (), json: bool = False) -> None:
        """Compare every wheel with the release log; exit with 2 if one is changed, missing, unlogged or unreadable."""
        run = TaskContext(fleet, c, json)
        wheelhouse, places = run.open_wheelhouse(), list(from_)
        if places and not repair:
            raise UsageError("--from needs --repair", hint="fab verify_wheels --repair --from …")
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
                f"{count(len(findings), 'finding')}" if findings else "every wheel is as it was logged", "bold"
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

    return verify_wheels


def _repair(fleet: Fleet, wheelhouse: Wheelhouse, console: Console, places: list[str]) -> list[RepairResult]:
    """Repair the wheelhouse with wheels from `places` and the fleet's `wheel_source`; return the result of each
    finding."""
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
