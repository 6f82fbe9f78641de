"""The task `fetch_wheels`."""

from __future__ import annotations

# Imported in function bodies: what a quick run must not load (tests/tasks/test_listing.py, benchmarks/listing.py).
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit

from envfab.config.fleet import Fleet
from envfab.errors import UsageError
from envfab.tasks.decorators import ours
from envfab.tasks.shared.context import TaskContext
from envfab.tasks.shared.signing_key import tell_signing_key
from envfab.util.counts import count
from envfab.util.paths import user_path

if TYPE_CHECKING:
    from envfab.fetch.publishers import Incoming
    from envfab.models.wheel import Wheel


def task(fleet: Fleet) -> Any:
    """`fetch_wheels` for `fleet`."""

    @ours(
        "requirements",
        True,
        requirements="a requirements file, or a requirement; repeatable (default: those of the targets)",
        interpreters="a file that `fab targets --export FILE` wrote, to be read instead of probing the targets",
        index="the package index to fetch from (default: PyPI)",
        own="a project of your own, or a pattern: it is never looked up in the index; repeatable",
        yes="do not ask about wheels from another publisher than earlier releases",
        bundle="write all wheels that are needed to this file, for another wheelhouse, and add none to this one",
    )
    def fetch_wheels(
        c: Context,
        requirements: Iterable[str] = (),
        name: Iterable[str] = (),
        interpreters: str = "",
        index: str = "",
        own: Iterable[str] = (),
        bundle: str = "",
        older_than: str = "",
        yes: bool = False,
        json: bool = False,
    ) -> None:
        """Fetch the wheels that the wheelhouse lacks for the targets' interpreters from a package index."""
        from envfab.fetch.bundle import write_bundle
        from envfab.fetch.fetch import default_index, distinct, download, forget, needed, opened, take_in
        from envfab.fetch.publishers import put_beside
        from envfab.tasks.output.held_back import held_back_json, warn_of_held_back
        from envfab.tasks.output.project_status import status_json, warn_of_statuses
        from envfab.tasks.shared.fetch_jobs import fetch_jobs
        from envfab.tasks.shared.incoming import MaliciousCheck, age_rule, own_projects
        from envfab.tasks.shared.publishers import PublisherCheck
        from envfab.tasks.shared.target_interpreters import exported_interpreters, interpreters_of, of_targets

        run = TaskContext(fleet, c, json, older_than=older_than)
        owned = run.settings.own | own_projects(list(own))
        wheelhouse = run.open_wheelhouse()
        place = _place_of_bundle(bundle) if bundle else None
        with run.console as console, run.connections() as links:
            members = run.select(list(name))
            kinds, complete = (
                (exported_interpreters(interpreters), True) if interpreters else interpreters_of(run, links, members)
            )
            if interpreters and list(name):
                kinds = of_targets(kinds, {str(member.target) for member in members})
            jobs = fetch_jobs(run, members, list(requirements), kinds)
            with opened(index or default_index(), own=owned) as source:
                found = needed(distinct(jobs), wheelhouse, source, console, age_rule(run.settings))
                warn_of_statuses(console, found.statuses)
                warn_of_held_back(console, found.held_back)
                MaliciousCheck(run, owned).refuse([*found.here, *found.lacking])
                if place is not None:
                    wheelhouse.verify_unchanged(found.here)
                incoming = PublisherCheck(run, wheelhouse, yes).of_index(found.lacking, source)
                paths = download(found.lacking, source, console)
                put_beside(incoming, paths)
                if place is not None:
                    write_bundle(place, [*map(wheelhouse.path_of, found.here), *paths])
                    forget(paths)
                else:
                    take_in(paths, wheelhouse)
            publishers = {one.wheel.filename: one for one in incoming}
            for wheel in found.lacking:
                console.print(f"{'fetched' if bundle else 'added':<8} {_line(wheel)}{_origin(publishers, wheel)}")
            if place is not None:
                for wheel in found.here:
                    console.print(f"{'had':<8} {_line(wheel)}")
                console.print(f"{place} holds {count(len(found.here) + len(found.lacking), 'wheel')}")
            elif not found.lacking:
                console.print("the wheelhouse already has all of it")
            tell_signing_key(console, wheelhouse.signers)
            if json:
                console.json(
                    {"format": 1, "fetched": [
                        _wheel_json(wheel) | _origin_json(publishers.get(wheel.filename)) for wheel in found.lacking],
                     "had": [_wheel_json(wheel) for wheel in found.here], "bundle": bundle or None,
                     "project_statuses": status_json(found.statuses),
                     "held_back": held_back_json(found.held_back)}
                )  # fmt: skip
        if not complete:
            raise Exit(code=1)

    return fetch_wheels


def _place_of_bundle(bundle: str) -> Path:
    """Return the path for a bundle; raises `UsageError` where a file cannot be written, before anything is
    downloaded."""
    place = user_path(bundle, "--bundle")
    if not place.name or place.is_dir():
        raise UsageError("a bundle must be a file, not a folder", where=bundle, hint="--bundle FILE")
    return place


def _line(wheel: Wheel) -> str:
    return f"{wheel.shown_as} {wheel.version}   {wheel.filename}"


def _origin(publishers: Mapping[str, Incoming], wheel: Wheel) -> str:
    """Return where a wheel comes from, as the end of its line."""
    shown = publishers[wheel.filename].shown if wheel.filename in publishers else ""
    return f"   {shown}" if shown else ""


def _origin_json(one: Incoming | None) -> dict[str, Any]:
    """Return the publishers that a wheel's provenance names, and whether that was verified; None without one."""
    if one is None or one.provenance is None:
        return {"publishers": None, "verified": None}
    publishers = [{"kind": publisher.kind, **dict(publisher.facts)} for publisher in one.provenance.publishers]
    return {"publishers": publishers, "verified": one.verified}


def _wheel_json(wheel: Wheel) -> dict[str, Any]:
    return {"name": wheel.shown_as, "version": str(wheel.version), "wheel": wheel.filename, "sha256": wheel.sha256}
