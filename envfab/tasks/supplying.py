"""The tasks that keep the house and carry it: `yank_wheel`, `publish_index`, `outdated`, `lock`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.errors import UsageError
from envfab.fleet import Fleet
from envfab.tasks import auditing, fetching
from envfab.tasks.arguments import ours
from envfab.tasks.invocation import Invocation
from envfab.tasks.looking import interpreters_of
from envfab.tasks.wheels import many

if TYPE_CHECKING:
    from envfab.supply.looking import Look
    from envfab.supply.newer import Outdated


def tasks(fleet: Fleet) -> list[Any]:
    """The tasks of supply for `fleet`."""
    return [
        _yank_wheel(fleet),
        _publish_index(fleet),
        _outdated(fleet),
        _lock(fleet),
        *fetching.tasks(fleet),
        *auditing.tasks(fleet),
    ]


def _yank_wheel(fleet: Fleet) -> Any:
    @ours(
        "wheel",
        trailing=True,
        wheel="what to withdraw: NAME==VERSION, or the file name of one wheel; repeatable",
        reason="why, for those who have it installed or pinned",
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
    @ours("folder", trailing=True, folder="where to write it: a folder of its own, for any web server")
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


def _outdated(fleet: Fleet) -> Any:
    @ours(index="look for newer versions in this package index, too", check="exit with 2 where something is outdated")
    def outdated(
        c: Context, name: Iterable[str] = (), index: str = "", check: bool = False, json: bool = False
    ) -> None:
        """Show what is newer in the house, or in an index, and what of it the requirements allow."""
        from contextlib import ExitStack

        from envfab.deployment.proposal import read_requirements
        from envfab.planning.catalogue import Catalogue
        from envfab.supply.fetching import opened
        from envfab.supply.index import PagesAlone
        from envfab.supply.looking import look
        from envfab.supply.newer import outdated as behind

        run = Invocation(fleet, c, json)
        sources: dict[str, Catalogue] = {"house": run.house}
        with run.console as console, run.connections() as links, ExitStack() as stack:
            members = run.select(list(name), links)
            requirements = read_requirements(fleet, members)
            if index:
                reached = stack.enter_context(opened(index))
                sources["index"] = PagesAlone(reached)
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
            if json:
                console.json({"format": 1, "virtualenvs": [_outdated_json(found, older) for found, older in rows]})
        if any(found.error for found in looks):
            raise Exit(code=1)
        if check and any(older for _found, older in rows):
            raise Exit(code=2)

    return outdated


def _show_outdated(run: Invocation, found: Look, older: list[Outdated]) -> None:
    console, target = run.console, str(found.member.target)
    if found.error is not None:
        console.print(f"{target}   unreachable", "bold red")
        console.print(f"    {str(found.error).removeprefix(f'{target}: ')}", "red")
        return
    console.print(f"{target}   {f'{len(older)} outdated' if older else 'nothing newer'}", "bold")
    width = max((len(one.shown_as) for one in older), default=0)
    for one in older:
        there = ", ".join(f"{version} in the {source}" for source, version in one.newest.items())
        allowed = f"{one.allowed} within the requirements" if one.allowed else "not within the requirements"
        note = "" if one.allowed == max(one.newest.values()) else f"   {allowed}"
        console.print(f"    {one.shown_as:<{width}}   {one.installed} → {there}{note}")


def _outdated_json(found: Look, older: list[Outdated]) -> dict[str, Any]:
    return {
        "target": str(found.member.target),
        "error": str(found.error) if found.error else None,
        "outdated": [
            {
                "name": one.shown_as,
                "installed": str(one.installed),
                "house": str(one.newest["house"]) if "house" in one.newest else None,
                "index": str(one.newest["index"]) if "index" in one.newest else None,
                "allowed": str(one.allowed) if one.allowed else None,
            }
            for one in older
        ],
    }


def _lock(fleet: Fleet) -> Any:
    @ours(
        "requirements",
        trailing=True,
        requirements="what is wanted: a requirements.in",
        output="where to write it (default: beside it, as .txt or pylock.toml)",
        pylock="write pylock.toml (PEP 751) instead of requirements.txt",
    )
    def lock(
        c: Context,
        requirements: str = "",
        name: Iterable[str] = (),
        output: str = "",
        pylock: bool = False,
        json: bool = False,
    ) -> None:
        """Pin requirements to releases of the house, with hashes, for the interpreters of the targets."""
        from envfab.facts.requirements import parse
        from envfab.supply import locking

        run = Invocation(fleet, c, json)
        if not requirements:
            raise UsageError("lock needs a file", hint="fab lock:requirements/shop.in")
        place = _place_of_lock(requirements, output, pylock)
        wanted = parse([requirements], lambda file: Path(file).expanduser().read_text(encoding="utf-8"))
        command = _command(requirements, list(name), output)
        house = run.house
        with run.console as console, run.connections() as links:
            found, complete = interpreters_of(run, links, run.select(list(name), links))
            locks = [locking.lock(wanted, kind, house) for kind in found]
            house.verify_unchanged(wheel for one in locks for pin in one.pins for wheel in pin.wheels)
            files = locking.files_of(locks, place)
            for file, one in files.items():
                made = locking.to_pylock(one, house, file) if pylock else locking.to_requirements(one, command)
                locking.write(file, made)
                console.print(
                    f"{file}   {many(len(one.pins), 'release')} for {one.kind.interpreter.title}, by {one.by}"
                )
            if json:
                console.json(
                    {"format": 1, "files": [
                        {"file": str(file), "python": str(one.kind.interpreter.version), "by": one.by,
                         "targets": list(one.kind.targets),
                         "pins": {str(pin.chosen.wheel.name): str(pin.chosen.wheel.version) for pin in one.pins}}
                        for file, one in files.items()
                    ]}
                )  # fmt: skip
        if not complete:
            raise Exit(code=1)

    return lock


def _command(requirements: str, names: list[str], output: str) -> str:
    """What makes the same lock again, on one line."""
    words = ["fab", "lock", requirements, *(word for name in names for word in ("--name", name))]
    return " ".join(shlex.join([*words, *(["--output", output] if output else [])]).split())


def _place_of_lock(requirements: str, output: str, pylock: bool) -> Path:
    """Where a lock goes; raises `UsageError` where it would go over its source or has a useless name."""
    source = Path(requirements).expanduser()
    if output:
        place = Path(output).expanduser()
    elif pylock:
        place = source.with_name("pylock.toml")
    else:
        place = source.with_suffix(".txt")
    if place == source:
        raise UsageError(f"{requirements} would be overwritten", hint="say --output FILE, or name what is wanted *.in")
    if pylock and not (place.name == "pylock.toml" or (place.name[:7] == "pylock." and place.suffix == ".toml")):
        raise UsageError(f"{place.name} is no name for a lock", hint="pylock.toml, or pylock.NAME.toml")
    return place
