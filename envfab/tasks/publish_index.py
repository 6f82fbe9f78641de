"""The task `publish_index`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from typing import Any

from invoke.context import Context

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count
from envfab.util.paths import user_path


def task(fleet: Fleet) -> Any:
    """`publish_index` for `fleet`."""

    @ours("folder", True, folder="the folder to write it to, which holds nothing else; any web server can serve it")
    def publish_index(c: Context, folder: str = "", json: bool = False) -> None:
        """Write the wheelhouse as a static package index (PEP 503, 691, 658), from which pip and uv install."""
        from envfab.index.publish import publish

        run = TaskContext(fleet, c, json)
        if not folder:
            raise UsageError("publish_index needs a folder", hint="fab publish_index:/srv/www/simple")
        place = user_path(folder, "folder")
        if place.is_file():
            raise UsageError("must be a folder, not a file", where=folder, hint="name a folder that holds nothing else")
        with run.console as console:
            done = publish(run.open_wheelhouse(), place, console)
            console.print(
                f"{count(done.wheels, 'wheel')} of {count(done.projects, 'project')} in {folder}: "
                f"{count(done.written, 'file')} written, {done.removed} removed"
            )
            if json:
                console.json(
                    {"format": 1, "folder": str(place), "wheels": done.wheels, "projects": done.projects,
                     "written": done.written, "removed": done.removed}
                )  # fmt: skip

    return publish_index
