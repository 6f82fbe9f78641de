"""The task `release_virtualenv`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.times import now

if TYPE_CHECKING:
    from envfab.remote.upkeep import Upkeep


SHOWN = 5


def task(fleet: Fleet) -> Any:
    """`release_virtualenv` for `fleet`."""

    @ours()
    def release_virtualenv(c: Context, name: Iterable[str] = (), yes: bool = False, json: bool = False) -> None:
        """Make virtualenvs plain again: the packages stay, the generations to roll back to go."""
        from envfab.deployment.result import Caller
        from envfab.remote.upkeep import release

        run = TaskContext(fleet, c, json)
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            if not yes:
                console.require_terminal("release_virtualenv")
                names = ", ".join(str(member.target) for member in members[:SHOWN])
                more = f" and {len(members) - SHOWN} more" if len(members) > SHOWN else ""
                if not console.confirm(f"Release {names}{more}, and give up the generations to roll back to?"):
                    raise Exit("nothing was done", code=1)
            caller = Caller.here()
            holder = {"format": 1, "who": caller.who, "from": caller.origin, "since": now(), "deployment": None}
            released = release(members, links, run.settings, console, holder)
            for one in released:
                console.print(_line(one), "red" if one.error else "")
            if json:
                console.json({"format": 1, "virtualenvs": [_json(one) for one in released]})
        if any(one.error for one in released):
            raise Exit(code=1)

    return release_virtualenv


def _line(one: Upkeep) -> str:
    if one.error is not None:
        return str(one.error)
    return f"{one.member.target}: {'released' if one.value else 'plain already'}"


def _json(one: Upkeep) -> dict[str, Any]:
    return {
        "target": str(one.member.target),
        "status": "failed" if one.error else "released" if one.value else "current",
        "error": str(one.error) if one.error else None,
    }
