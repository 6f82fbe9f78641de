"""The tasks that keep the wheelhouse and carry it: `yank_wheel`, `publish_index`, `outdated`, and their neighbours'."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks import audit, fetch_wheels, lock
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours
from envfab.tasks.wheels import many
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from envfab.errors import SupplyError
    from envfab.fetch.outdated import Outdated
    from envfab.fetch.probe_interpreters import Look


def tasks(fleet: Fleet) -> list[Any]:
    """The tasks of supply for `fleet`."""
    return [
        _yank_wheel(fleet),
        _publish_index(fleet),
        _outdated(fleet),
        *lock.tasks(fleet),
        *fetch_wheels.tasks(fleet),
        *audit.tasks(fleet),
    ]


def _yank_wheel(fleet: Fleet) -> Any:
    @ours(
        "wheel",
        True,
        wheel="what to withdraw: NAME==VERSION, or the file name of one wheel; repeatable",
        reason="why, for those who have it installed or pinned",
    )
    def yank_wheel(c: Context, wheel: Iterable[str] = (), reason: str = "", json: bool = False) -> None:
        """Withdraw a release from new plans, with a reason; only where == pins it, it is still chosen."""
        run = TaskContext(fleet, c, json)
        named = list(wheel)
        if not named:
            raise UsageError("yank_wheel needs a release", hint="fab yank_wheel Django==5.2.1 --reason 'loses data'")
        if not reason.strip():
            raise UsageError(
                "why is it withdrawn?",
                hint=f"fab yank_wheel {shlex.quote(named[0])} --reason TEXT: plans and the index show it",
            )
        wheelhouse, yanked = run.wheelhouse, []
        with run.console as console:
            for what, fresh in wheelhouse.yank_all(named, reason).items():
                for one in fresh:
                    console.print(f"yanked   {one.shown_as} {one.version}   {one.filename}")
                    yanked.append({"name": one.shown_as, "version": str(one.version), "wheel": one.filename})
                if not fresh:
                    console.print(f"{what} was yanked already: {'; '.join(wheelhouse.why_yanked(what))}")
            if json:
                console.json({"format": 1, "yanked": yanked, "reason": reason})

    return yank_wheel


def _publish_index(fleet: Fleet) -> Any:
    @ours("folder", True, folder="where to write it: a folder of its own, for any web server")
    def publish_index(c: Context, folder: str = "", json: bool = False) -> None:
        """Write the wheelhouse as a static package index (PEP 503, 691, 658), from which pip and uv install."""
        from envfab.index.publish import publish

        run = TaskContext(fleet, c, json)
        if not folder:
            raise UsageError("publish_index needs a folder", hint="fab publish_index:/srv/www/simple")
        place = user_path(folder, "folder")
        if place.is_file():
            raise UsageError("is a file, and an index is a folder", where=folder, hint="name a folder of its own")
        with run.console as console:
            done = publish(run.wheelhouse, place, console)
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


def _outdated(fleet: Fleet) -> Any:
    @ours(index="look for newer versions in this package index, too", check="exit with 2 where something is outdated")
    def outdated(
        c: Context, name: Iterable[str] = (), index: str = "", check: bool = False, json: bool = False
    ) -> None:
        """Show what is newer in the wheelhouse, or in an index, and what of it the requirements allow."""
        from contextlib import ExitStack

        from envfab.deployment.requirements_files import read_requirements
        from envfab.fetch.fetch import opened
        from envfab.fetch.outdated import outdated as behind
        from envfab.fetch.probe_interpreters import look
        from envfab.index.client import PagesAlone
        from envfab.planning.catalogue import Catalogue

        run = TaskContext(fleet, c, json)
        sources: dict[str, Catalogue] = {"wheelhouse": run.wheelhouse}
        problems: Mapping[NormalizedName, SupplyError] = {}
        with run.console as console, run.connections() as links, ExitStack() as stack:
            members = run.select(list(name))
            requirements = read_requirements(fleet, members)
            if index:
                reached = stack.enter_context(opened(index))
                sources["index"] = pages = PagesAlone(reached)
                problems = pages.problems
            looks = look(members, links, run.settings, console)
            if index:
                reached.expect(
                    dict.fromkeys(one for found in looks if found.probe for one in found.probe.distributions)
                )
            rows = [
                (found, list(behind(found.probe, requirements[found.member.target], sources)) if found.probe else [])
                for found in looks
            ]
            for found, older in rows:
                _show_outdated(run, found, older)
            for problem in problems.values():
                console.warning(f"without the index: {problem}")
            if json:
                console.json(
                    {"format": 1, "virtualenvs": [_outdated_json(found, older) for found, older in rows],
                     "index_errors": [str(problem) for problem in problems.values()]}
                )  # fmt: skip
        if problems or any(found.error for found in looks):
            raise Exit(code=1)
        if check and any(older for _found, older in rows):
            raise Exit(code=2)

    return outdated


def _show_outdated(run: TaskContext, found: Look, older: list[Outdated]) -> None:
    console, target = run.console, str(found.member.target)
    if found.error is not None:
        from envfab.planning.plan import status_without

        console.print(f"{target}   {status_without(found.error).value}", "bold red")
        console.print(f"    {str(found.error).removeprefix(f'{target}: ')}", "red")
        return
    console.print(f"{target}   {f'{len(older)} outdated' if older else 'nothing newer'}", "bold")
    width = max((len(one.shown_as) for one in older), default=0)
    for one in older:
        console.print(f"    {one.shown_as:<{width}}   {one.installed} → {_newer(one)}")


def _newer(one: Outdated) -> str:
    """What there is, and, unless that is the same, what of it the requirements allow."""
    allowed = f"{one.allowed} within the requirements" if one.allowed else "not within the requirements"
    if not one.newest:
        # they name what nobody is offered otherwise: a pre-release, or a release that was withdrawn
        return allowed
    there = ", ".join(f"{version} in the {source}" for source, version in one.newest.items())
    return there if one.allowed == max(one.newest.values()) else f"{there}   {allowed}"


def _outdated_json(found: Look, older: list[Outdated]) -> dict[str, Any]:
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
