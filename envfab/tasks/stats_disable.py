"""The task `stats_disable`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import EnvfabError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count

if TYPE_CHECKING:
    from envfab.usagestats import Stats


def task(fleet: Fleet) -> Any:
    """`stats_disable` for `fleet`."""

    @ours(erase="ask the server, too, to delete all that was sent under the random id of this folder")
    def stats_disable(c: Context, erase: bool = False) -> None:
        """Opt out: record and send nothing any more, and delete what was kept; with --erase also at the server."""
        from envfab.tasks.shared.usage_state import configured, opened, shown_server, unkept

        run, usage = TaskContext(fleet, c), configured(fleet)
        stats = opened(usage)
        kept = stats.disable_reporting()
        erased = _erase(stats, shown_server(usage)) if erase else None
        forgotten = stats.forget_user()
        if not kept:
            raise unkept(stats)
        if not forgotten or stats.pending():
            raise EnvfabError("cannot delete the reports", where=stats.location, hint="delete that folder")
        with run.console as console:
            console.print("disabled: nothing is recorded or sent, and what was kept is deleted")
            if erased is not None:
                console.print(f"erased at the server: {count(erased, 'report')}")

    return stats_disable


def _erase(stats: Stats, server: str) -> int:
    """Have the server delete the user's reports; raises `EnvfabError`, and then the id is kept for another attempt."""
    result = stats.erase()
    if not result.confirmed:
        raise EnvfabError(
            f"opted out, but nothing is known to be erased: {result.why}",
            where=server,
            hint="fab stats_disable --erase asks again; without --erase the id goes, and what was sent stays there",
        )
    return result.deleted
