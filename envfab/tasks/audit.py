"""The task `audit`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.output.count import many
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.audit.osv import Vulnerability
    from envfab.fetch.probe_interpreters import Look
    from envfab.models.distribution import Distribution

SHOWN_SUMMARY = 90
NO_VERSION = "its version is not one by PEP 440"


def task(fleet: Fleet) -> Any:
    """`audit` for `fleet`."""

    @ours(osv="the OSV export for PyPI: all.zip, or a folder of its records")
    def audit(c: Context, name: Iterable[str] = (), osv: str = "", json: bool = False) -> None:
        """Compare what is installed with known vulnerabilities, offline; exit with 2 where there are any."""
        from envfab.audit.osv import read, unchecked, vulnerabilities
        from envfab.fetch.probe_interpreters import look

        run = TaskContext(fleet, c, json)
        if not osv:
            raise UsageError(
                "audit needs known vulnerabilities", hint="fab audit --osv all.zip: OSV's export for PyPI, from a file"
            )
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            looks = look(members, links, run.settings, console, tags=False)
            installed = [{**found.probe.outside, **found.probe.distributions} if found.probe else {} for found in looks]
            export = read(user_path(osv, "--osv"), {one for there in installed for one in there})
            age = export.age(datetime.now(timezone.utc))
            if export.unreadable:
                console.warning(
                    f"{many(len(export.unreadable), 'record')} of {osv} cannot be read: {export.unreadable[0]} …"
                )
            rows = []
            for found, there in zip(looks, installed, strict=True):
                rows.append((found, vulnerabilities(there.values(), export), unchecked(there.values())))
            for found, known, left_out in rows:
                _show(run, found, known, left_out, age)
            console.print(f"{many(export.records, 'record')}, {age}", "dim")
            if json:
                as_of = export.as_of.isoformat() if export.as_of else None
                console.json({"format": 1, "as_of": as_of, "virtualenvs": [_json(*row, as_of) for row in rows]})
        if any(found.error for found in looks):
            raise Exit(code=1)
        if any(known for _found, known, _left_out in rows):
            raise Exit(code=2)

    return audit


def _show(run: TaskContext, found: Look, known: list[Vulnerability], left_out: list[Distribution], age: str) -> None:
    console, target = run.console, str(found.member.target)
    if found.error is not None:
        from envfab.planning.plan import status_without

        console.print(f"{target}   {status_without(found.error).value}", "bold red")
        console.print(f"    {str(found.error).removeprefix(f'{target}: ')}", "red")
        return
    said = f"{len(known)} known to be vulnerable" if known else "nothing known"
    console.print(f"{target}   {said}{f', {len(left_out)} not checked' if left_out else ''}", "bold")
    for there in left_out:
        console.print(f"    {there.shown_as} {there.version_text}   not checked: {NO_VERSION}", "yellow")
    for one in known:
        first, *others = one.ids
        facts = [first + (f" ({', '.join(others)})" if others else "")]
        facts += [one.severity.lower()] if one.severity else []
        facts += [f"fixed in {', '.join(one.fixed)}" if one.fixed else "no fix known", age]
        console.print(f"    {one.shown_as} {one.version}   {' · '.join(facts)}", "red")
        if one.summary:
            console.print(f"        {one.summary[:SHOWN_SUMMARY]}")


def _json(found: Look, known: list[Vulnerability], left_out: list[Distribution], as_of: str | None) -> dict[str, Any]:
    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "vulnerabilities": [
            {
                "name": one.shown_as,
                "version": one.version,
                "id": one.ids[0],
                "aliases": list(one.ids[1:]),
                "severity": one.severity,
                "fixed": list(one.fixed),
                "summary": one.summary,
                "as_of": as_of,
            }
            for one in known
        ],
        "not_checked": [{"name": one.shown_as, "version": one.version_text, "why": NO_VERSION} for one in left_out],
    }
