"""What is newer than what is installed, to people and as JSON."""

from __future__ import annotations

from typing import Any

from envfab.fetch.outdated import Outdated
from envfab.fetch.probe_interpreters import Look
from envfab.tasks.output.console import Console
from envfab.tasks.output.target_error import show_error


def show_outdated(console: Console, found: Look, older: list[Outdated]) -> None:
    """Print a virtualenv's packages that have newer versions, or its error."""
    if found.error is not None:
        show_error(console, found.member.target, found.error)
        return
    console.print(f"{found.member.target}   {f'{len(older)} outdated' if older else 'nothing newer'}", "bold")
    width = max((len(one.shown_as) for one in older), default=0)
    for one in older:
        console.print(f"    {one.shown_as:<{width}}   {one.installed} → {_newer(one)}")


def _newer(one: Outdated) -> str:
    """Return the newest versions and, unless that is the same, the newest that the requirements allow."""
    allowed = f"{one.allowed} within the requirements" if one.allowed else "not within the requirements"
    if not one.newest:
        # the requirements name a pre-release or a withdrawn release, which is not offered otherwise
        return allowed
    there = ", ".join(f"{version} in the {source}" for source, version in one.newest.items())
    return there if one.allowed == max(one.newest.values()) else f"{there}   {allowed}"


def outdated_json(found: Look, older: list[Outdated]) -> dict[str, Any]:
    """Return the same as JSON."""
    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "outdated": [
            {
                "name": one.shown_as,
                "installed": str(one.installed),
                "house": str(one.newest["wheelhouse"]) if "wheelhouse" in one.newest else None,
                "index": str(one.newest["index"]) if "index" in one.newest else None,
                "allowed": str(one.allowed) if one.allowed else None,
            }
            for one in older
        ],
    }
