"""The task `create_virtualenv`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext

if TYPE_CHECKING:
    from envfab.remote.create import Creation


def task(fleet: Fleet) -> Any:
    """`create_virtualenv` for `fleet`."""

    @ours(
        repair="also repair virtualenvs whose interpreter is missing or does not start, or whose pyvenv.cfg is missing"
    )
    def create_virtualenv(c: Context, name: Iterable[str] = (), repair: bool = False, json: bool = False) -> None:
        """Make configured virtualenvs that do not exist yet, each with its `python`."""
        from envfab.remote.create import create

        run = TaskContext(fleet, c, json)
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            creations = create(members, links, run.settings, console, repair=repair)
            for creation in creations:
                console.print(_created(creation), "red" if creation.error else "")
            if json:
                console.json({"format": 1, "virtualenvs": [_created_json(creation) for creation in creations]})
        if any(creation.error for creation in creations):
            raise Exit(code=1)

    return create_virtualenv


def _created(creation: Creation) -> str:
    if creation.error is not None:
        return str(creation.error)
    if creation.by is None:
        return f"{creation.member.target}: already exists"
    what = "repaired" if creation.repaired else "made"
    return f"{creation.member.target}: {what} with {creation.by}, Python {creation.version}"


def _created_json(creation: Creation) -> dict[str, Any]:
    status = "failed" if creation.error else "created" if creation.by else "current"
    return {
        "target": str(creation.member.target),
        "status": status,
        "python": creation.version,
        "error": str(creation.error) if creation.error else None,
    }
