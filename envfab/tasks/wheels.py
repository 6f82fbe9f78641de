"""The task `wheels`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.tasks.decorators import ours
from envfab.tasks.output.wheelhouse import warn_of_log, wheelhouse_line
from envfab.tasks.shared.context import TaskContext
from envfab.util.times import in_utc, local_time

if TYPE_CHECKING:
    from envfab.wheelhouse.listed_wheels import Listed


def task(fleet: Fleet) -> Any:
    """`wheels` for `fleet`."""

    @ours()
    def wheels(c: Context, json: bool = False) -> None:
        """List the wheelhouse: versions, tags, dates, sizes, what is yanked or not logged."""
        run = TaskContext(fleet, c, json)
        wheelhouse = run.open_wheelhouse()
        with run.console as console:
            listed = wheelhouse.list()
            console.print(wheelhouse_line(wheelhouse), "dim")
            warn_of_log(console, wheelhouse)
            for line in _table([_row(one) for one in listed]):
                console.print(line)
            if json:
                console.json({"format": 1, "wheels": [_listed_json(one) for one in listed]})

    return wheels


def _row(one: Listed) -> tuple[str, ...]:
    tags = sorted({f"{tag.interpreter}-{tag.abi}-{tag.platform}" for tag in one.wheel.tags})
    shown = tags[0] if len(tags) == 1 else f"{tags[0]} and {len(tags) - 1} more"
    notes = [f"yanked: {one.yanked_reason}"] if one.yanked_reason is not None else []
    notes += [] if one.logged else ["not logged: add it with fab add_wheel"]
    notes += ["the file is missing"] if one.size is None else []
    added = local_time(in_utc(one.added)) if one.added else ""
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
