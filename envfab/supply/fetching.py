"""Filling the house from a package index: resolve for every interpreter, download what is lacking, take it in."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.errors import SupplyError
from envfab.facts.requirements import Requirements
from envfab.facts.wheel import Wheel
from envfab.planning.demands import applicable
from envfab.planning.environment import Environment
from envfab.planning.plan import Missing
from envfab.reporter import Reporter
from envfab.supply import pages
from envfab.supply.index import Both, ForInterpreter, Index
from envfab.supply.interpreters import Kind
from envfab.supply.solving import Unsolvable, solve
from envfab.supply.taking_in import add_all
from envfab.supply.web import Timeouts, Web
from envfab.wheelhouse.adding import Added
from envfab.wheelhouse.digests import cache_folder
from envfab.wheelhouse.house import House
from envfab.wheelhouse.inspection import inspect

DOWNLOADS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Job:
    """Requirements, and an interpreter for which they are to be met."""

    kind: Kind
    requirements: Requirements


def default_index() -> str:
    """The index that pip asks where nobody names one."""
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


@contextmanager
def opened(url: str, downloads: Path | None = None, timeouts: Timeouts | None = None) -> Iterator[Index]:
    """An index to ask; what is downloaded lies in the user's cache folder, or in `downloads`."""
    with tempfile.TemporaryDirectory(prefix="envfab-") as folder:
        cache = cache_folder(os.environ)
        place = downloads or (cache / "fetched" if cache is not None else Path(folder))
        with Web(timeouts) as web, Index(url, web, place) as index:
            yield index


def lacking(
    jobs: Sequence[Job], house: House, index: Index, own: Set[NormalizedName], reporter: Reporter
) -> list[Wheel]:
    """The wheels of the index that the house lacks for all jobs, by file name.

    Projects in `own` are never looked up in the index. Raises `SupplyError` that tells, for every interpreter, what
    cannot be met and why.
    """
    found: dict[str, Wheel] = {}
    problems = []
    reporter.stage("resolving", len(jobs))
    for job in jobs:
        interpreter = job.kind.interpreter
        reporter.working(interpreter.title, "resolving")
        both = Both(house, ForInterpreter.of(index, interpreter), frozenset(own))
        entries = applicable(job.requirements.entries, Environment(interpreter))
        index.expect(dict.fromkeys(entry.name for entry in entries if entry.name not in own))
        try:
            chosen = solve(job.requirements, interpreter, both)
        except Unsolvable as problem:
            problems.append(str(_explained(problem, job, index, own)))
        else:
            found.update({wheel.filename: wheel for wheel in chosen.values() if not both.has(wheel)})
        reporter.advance("resolving", interpreter.title)
    if problems:
        raise SupplyError("\n".join(problems))
    return [found[filename] for filename in sorted(found)]


def _explained(problem: Unsolvable, job: Job, index: Index, own: Set[NormalizedName]) -> Unsolvable:
    """The same in terms of both supplies, with what to do where there are source distributions only."""
    missing = []
    for one in problem.missing:
        why = one.why.replace("the house has", "house and index have")
        requirement = Requirement(one.requirement)
        name = canonicalize_name(requirement.name)
        built = _source_only(requirement, index) if name not in own else None
        if built is not None:
            where = ", ".join(job.kind.targets) or "this machine"
            why += (
                f"\n    the index has {built} as source only, for {where} as for any other:"
                f"\n    build it on a machine like that (pip wheel --no-deps {built}), and add_wheel what that makes"
            )
        missing.append(Missing(one.requirement, one.required_by, why))
    conflicts = [one.replace("the house has", "house and index have") for one in problem.conflicts]
    return Unsolvable(job.kind.interpreter, missing, conflicts)


def _source_only(requirement: Requirement, index: Index) -> str | None:
    """`name==version` of the newest source distribution that would do; None where there is none."""
    name = canonicalize_name(requirement.name)
    versions = [pages.sdist_version(file, name) for file in index.files(name)]
    wanted = requirement.specifier
    found = [Version(one) for one in versions if one is not None and wanted.contains(one, prereleases=False)]
    return f"{name}=={max(found)}" if found else None


def download(wheels: Sequence[Wheel], index: Index, reporter: Reporter) -> list[Path]:
    """The wheels on disk, each verified and inspected; raises the first `EnvfabError`, keeping what has come."""
    size = sum(index.file(wheel).size or 0 for wheel in wheels)
    reporter.stage(f"downloading {size / 1e6:.1f} MB", len(wheels))

    def one(wheel: Wheel) -> Path:
        reporter.working(wheel.filename, "downloading")
        path = index.download(wheel)
        inspect(path)
        return path

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, "envfab-download") as pool:
        futures = {pool.submit(one, wheel): wheel for wheel in wheels}
        try:
            for future in as_completed(futures):
                future.result()
                reporter.advance(f"downloading {size / 1e6:.1f} MB", futures[future].filename)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def take_in(paths: Sequence[Path], house: House) -> list[Added]:
    """Add downloaded wheels to the house, and forget the downloads."""
    added = add_all(paths, house)
    forget(paths)
    return added


def forget(paths: Sequence[Path]) -> None:
    """Remove downloads that are where they belong."""
    for path in paths:
        shutil.rmtree(path.parent, ignore_errors=True)


def distinct(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with one for each interpreter and requirements, its targets joined."""
    found: list[Job] = []
    for job in jobs:
        for number, known in enumerate(found):
            if known.kind.interpreter == job.kind.interpreter and known.requirements == job.requirements:
                targets = dict.fromkeys([*known.kind.targets, *job.kind.targets])
                found[number] = replace(known, kind=replace(known.kind, targets=tuple(targets)))
                break
        else:
            found.append(job)
    return found
