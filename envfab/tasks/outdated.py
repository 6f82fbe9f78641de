"""The task `outdated`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.tasks.context import TaskContext
from envfab.tasks.decorators import ours

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from envfab.errors import SupplyError
    from envfab.fetch.outdated import Outdated
    from envfab.fetch.probe_interpreters import Look


def task(fleet: Fleet) -> Any:
    """`outdated` for `fleet`."""

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
