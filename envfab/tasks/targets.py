"""The task `targets`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
import shlex
from collections.abc import Iterable, Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.config.host import Host
from envfab.config.target import Member, Target
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.util.counts import count
from envfab.util.paths import output_path

if TYPE_CHECKING:
    from envfab.remote.agent_replies import Discovered


def task(fleet: Fleet) -> Any:
    """`targets` for `fleet`."""

    @ours(
        discover="look for virtualenvs on this host and draft their lines for the fabfile",
        export="write the targets' interpreters to this file, for `fetch_wheels --interpreters` elsewhere",
        sudoers="print the rules of sudo that deployments to the targets need, for each host",
    )
    def targets(
        c: Context,
        name: Iterable[str] = (),
        discover: str = "",
        export: str = "",
        sudoers: bool = False,
        json: bool = False,
    ) -> None:
        """List the configured virtualenvs, as names that the other tasks take."""
        run = TaskContext(fleet, c, json)
        place = output_path(export, "--export", folder_is_made=True) if export else None
        with run.console as console:
            if discover:
                _discover(run, discover)
                return
            members = run.select(list(name))
            if sudoers:
                _sudoers(run, members)
                return
            complete = _export(run, members, place) if place else True
            for member in members:
                console.print(_line(member))
            if not members:
                console.print("no virtualenv is configured: fab targets --discover HOST drafts some", "dim")
            if json:
                digests, stores = _ask(run, members)
                targets = [{**_json(member), "digest": digests[member.target]} for member in members]
                console.json({"format": 1, "targets": targets, "stores": stores})
        if not complete:
            raise Exit(code=1)

    return targets


def _ask(run: TaskContext, members: Sequence[Member]) -> tuple[dict[Target, str | None], list[dict[str, Any]]]:
    """Ask the hosts for the digests of what was deployed, None if not known, and for the sizes of their stores.

    A host that does not answer has no digest, and is told as such among the stores.
    """
    from envfab.remote.upkeep import measure
    from envfab.tasks.output.stores import stores_json

    with run.connections() as links:
        found = run.probe(members, links)
        digests = {one.member.target: one.probe.digest if one.probe is not None else None for one in found}
        return digests, stores_json(measure(members, links, run.settings, run.console))


def _sudoers(run: TaskContext, members: Sequence[Member]) -> None:
    """Print the rules of sudo for each host; hosts are asked where the fabfile names programs without their folders."""
    from envfab.deployment.sudo_rules import sudo_needs
    from envfab.remote.programs import find_programs
    from envfab.tasks.output.sudoers import show_rules, sudoers_json

    configured = {host.name: host for host in run.fleet.all_hosts()}

    def host_of(name: str) -> Host:
        return configured.get(name) or Host(name)

    needs = sudo_needs(members, lambda name: run.login(host_of(name)))
    bare = [
        (host_of(name), sorted({one.arguments[0] for one in of_host if one.arguments and "/" not in one.arguments[0]}))
        for name, of_host in needs.items()
    ]
    found = {}
    if any(names for _, names in bare):
        with run.connections() as links:
            found = find_programs(bare, links, run.settings, run.console)
    rules = {name: [need.rule(found.get(name, {})) for need in of_host] for name, of_host in needs.items()}
    run.console.print(show_rules(rules))
    if run.console.as_json:
        run.console.json(sudoers_json(rules))


def _export(run: TaskContext, members: Sequence[Member], place: Path) -> bool:
    """Write the members' interpreters to a file; return whether all could be probed."""
    from envfab.lockfile.write import write
    from envfab.models.interpreter_kinds import to_json
    from envfab.tasks.shared.target_interpreters import interpreters_of

    with run.connections() as links:
        found, complete = interpreters_of(run, links, members)
    write(place, dumps(to_json(found), indent=1) + "\n")
    run.console.print(f"interpreters written to {place}, for fab fetch_wheels --interpreters {shlex.quote(str(place))}")
    return complete


def _line(member: Member) -> str:
    groups = "".join(f" %{group}" for group in sorted(member.host.groups))
    virtualenv = member.virtualenv
    wanted = [*map(str, _files(member)), *virtualenv.packages]
    projects = [project.settings for project in virtualenv.projects]
    facts = [", ".join(wanted) or "no requirements", *projects]
    return f"{member.target}{groups}   {' · '.join(facts)}"


def _files(member: Member) -> Sequence[str]:
    files = member.virtualenv.requirements
    return [str(file) for file in files] if isinstance(files, tuple) else [str(files)]


def _json(member: Member) -> dict[str, Any]:
    return {
        "target": str(member.target),
        "host": member.target.host,
        "user": member.target.owner,
        "path": member.target.path,
        "groups": sorted(member.host.groups),
        "requirements": list(_files(member)),
        "packages": list(member.virtualenv.packages),
        "python": member.virtualenv.python,
        "projects": [project.settings for project in member.virtualenv.projects],
    }


def _discover(run: TaskContext, name: str) -> None:
    """Print `Virtualenv(…)` lines for the virtualenvs of a host that are not configured."""
    from envfab.remote.create import discover

    host = next((known for known in run.fleet.all_hosts() if known.name == name), None) or Host(name)
    known = {virtualenv.path for virtualenv in host.virtualenvs}
    login = run.login(host)
    with run.connections() as links:
        there = discover(host, links)
    console = run.console
    new = [one for one in there.found if one.path not in known]
    console.print(f"# {count(len(there.found), 'virtualenv')} on {name}, {len(new)} of them not configured")
    console.print(f"# looked in {', '.join(there.looked_in)}, {there.depth} folders down")
    for one in new:
        console.print(_draft(one, login))
    if there.unread:
        console.warning(f"{count(there.unread, 'folder')} of {name} cannot be read by {login}")
    if run.console.as_json:
        document = [{"path": one.path, "user": one.owner, "python": one.python} for one in there.found]
        console.json({"format": 1, "host": name, "looked_in": list(there.looked_in), "virtualenvs": document})


def _draft(one: Discovered, login: str) -> str:
    arguments = [repr(one.path)]
    arguments += [f"user={one.owner!r}"] if one.owner != login else []
    arguments += [f"python={one.python!r}"]
    arguments += ["system_site_packages=True"] if one.system_site_packages else []
    return f"Virtualenv({', '.join(arguments)}),"
