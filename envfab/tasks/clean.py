"""The task `clean`."""

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
    from envfab.remote.upkeep import Upkeep

MEGABYTE = 1_000_000


def task(fleet: Fleet) -> Any:
    """`clean` for `fleet`."""

    @ours(all="all of it: the next deployment sends and unpacks its wheels anew")
    def clean(c: Context, name: Iterable[str] = (), all: bool = False, json: bool = False) -> None:
        """Remove unpacked wheels that no virtualenv uses from the stores of the hosts."""
        from envfab.remote.upkeep import clean as clean_stores

        run = TaskContext(fleet, c, json)
        with run.console as console, run.connections() as links:
            cleaned = clean_stores(run.select(list(name)), links, run.settings, console, everything=all)
            for one in cleaned:
                console.print(_line(one), "red" if one.error else "")
            if json:
                console.json({"format": 1, "stores": [_json(one) for one in cleaned]})
        if any(one.error for one in cleaned):
            raise Exit(code=1)

    return clean


def _line(one: Upkeep) -> str:
    if one.error is not None:
        return str(one.error)
    target, done = one.member.target, one.value
    wheels = "1 wheel" if done.removed == 1 else f"{done.removed} wheels"
    sizes = f"which freed {done.freed / MEGABYTE:.1f} MB; the store has {done.left / MEGABYTE:.1f} MB now"
    # files that generations link to stay on the disk
    return f"{target.owner}@{target.host}: removed {wheels} from the store, {sizes}"


def _json(one: Upkeep) -> dict[str, Any]:
    done, target = one.value, one.member.target
    return {
        "host": target.host,
        "user": target.owner,
        "removed": done.removed if done else None,
        "freed": done.freed if done else None,
        "left": done.left if done else None,
        "error": str(one.error) if one.error else None,
    }
