"""Known vulnerabilities of a virtualenv, to people and as JSON."""

from __future__ import annotations

from typing import Any

from envfab.audit.osv import Vulnerability
from envfab.fetch.probe_interpreters import Look
from envfab.models.distribution import Distribution
from envfab.tasks.output.console import Console
from envfab.tasks.output.target_error import show_error

SHOWN_SUMMARY = 90
NO_VERSION = "its version does not follow PEP 440"


def show_audit(
    console: Console, found: Look, known: list[Vulnerability], left_out: list[Distribution], age: str
) -> None:
    """Print a virtualenv's known vulnerabilities, and the packages that were not checked."""
    if found.error is not None:
        show_error(console, found.member.target, found.error)
        return
    said = f"{len(known)} known to be vulnerable" if known else "nothing known"
    console.print(f"{found.member.target}   {said}{f', {len(left_out)} not checked' if left_out else ''}", "bold")
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


def audit_json(
    found: Look, known: list[Vulnerability], left_out: list[Distribution], as_of: str | None
) -> dict[str, Any]:
    """Return the same as JSON."""
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
