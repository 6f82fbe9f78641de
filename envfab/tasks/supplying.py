"""The tasks that keep the house and carry it: `yank_wheel`, `publish_index`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import task

from envfab.errors import UsageError
from envfab.fleet import Fleet
from envfab.tasks.fabric1 import Task
from envfab.tasks.invocation import Invocation
from envfab.tasks.wheels import many

JSON = "one JSON document on standard output"


def tasks(fleet: Fleet) -> list[Any]:
    """The tasks of supply for `fleet`."""
    return [_yank_wheel(fleet), _publish_index(fleet)]


def _yank_wheel(fleet: Fleet) -> Any:
    @task(
        klass=Task,
        positional_words="wheel",
        trailing_words=True,
        iterable=["wheel"],
        auto_shortflags=False,
        help={
            "wheel": "what to withdraw: NAME==VERSION, or the file name of one wheel; repeatable",
            "reason": "why, for those who have it installed or pinned",
            "json": JSON,
        },
    )
    def yank_wheel(c: Context, wheel: Iterable[str] = (), reason: str = "", json: bool = False) -> None:
        """Withdraw a release from new plans, with a reason; only where == pins it, it is still chosen."""
        run = Invocation(fleet, c, json)
        named = list(wheel)
        if not named:
            raise UsageError("yank_wheel needs a release", hint="fab yank_wheel Django==5.2.1 --reason 'loses data'")
        if not reason.strip():
            raise UsageError(
                "why is it withdrawn?", hint=f"fab yank_wheel {named[0]} --reason TEXT: plans and the index show it"
            )
        house, yanked = run.house, []
        with run.console as console:
            for what in named:
                fresh = house.yank(what, reason)
                for one in fresh:
                    console.print(f"yanked   {one.shown_as} {one.version}   {one.filename}")
                    yanked.append({"name": one.shown_as, "version": str(one.version), "wheel": one.filename})
                if not fresh:
                    console.print(f"{what} was yanked already")
            if json:
                console.json({"format": 1, "yanked": yanked, "reason": reason})

    return yank_wheel


def _publish_index(fleet: Fleet) -> Any:
    @task(
        klass=Task,
        positional_words="folder",
        trailing_words=True,
        auto_shortflags=False,
        help={"folder": "where to write it: a folder of its own, for any web server", "json": JSON},
    )
    def publish_index(c: Context, folder: str = "", json: bool = False) -> None:
        """Write the house as a static package index (PEP 503, 691, 658), from which pip and uv install."""
        from envfab.supply.publishing import publish

        run = Invocation(fleet, c, json)
        if not folder:
            raise UsageError("publish_index needs a folder", hint="fab publish_index:/srv/www/simple")
        place = Path(folder).expanduser()
        with run.console as console:
            done = publish(run.house, place, console)
            console.print(
                f"{many(done.wheels, 'wheel')} of {many(done.projects, 'project')} in {folder}: "
                f"{many(done.written, 'file')} written, {done.removed} removed"
            )
            if json:
                console.json(
                    {"format": 1, "folder": str(place), "wheels": done.wheels, "projects": done.projects,
                     "written": done.written, "removed": done.removed}
                )  # fmt: skip

    return publish_index
