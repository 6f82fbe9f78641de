"""Filling the wheelhouse from a package index: resolve for every interpreter, download what is lacking, take it in."""

from __future__ import annotations

# Imported in function bodies: pip, where no index is named.
import os
import shutil
import tempfile
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import NormalizedName, canonicalize_name

from envfab.errors import SupplyError
from envfab.fetch.age_rule import AgeRule, HeldBack, HeldBackSearch, OldEnough
from envfab.fetch.explain import explained
from envfab.index.client import Both, ForInterpreter, PackageIndex, PagesAlone
from envfab.index.project_status import ProjectStatus
from envfab.index.session import IndexSession
from envfab.models.interpreter_kinds import InterpreterKind
from envfab.models.requirements import Requirements
from envfab.models.wheel import Wheel
from envfab.planning.marker_environment import Environment, applicable
from envfab.planning.new_virtualenv import Unsolvable, solve
from envfab.util.http import Timeouts
from envfab.util.progress import Reporter
from envfab.util.thread_pool import ThreadPool
from envfab.wheelhouse.add import Added
from envfab.wheelhouse.digest_cache import cache_folder
from envfab.wheelhouse.validate import inspect
from envfab.wheelhouse.wheelhouse import Wheelhouse

DOWNLOADS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Needed:
    """Wheels, by file name, that the wheelhouse has, and those of the index that it lacks.

    `statuses` are those of their projects that are not active (PEP 792), by the projects' names as published.
    """

    here: Sequence[Wheel]
    lacking: Sequence[Wheel]
    statuses: Mapping[str, ProjectStatus]
    held_back: Sequence[HeldBack] = ()


@dataclass(frozen=True, slots=True)
class FetchJob:
    """Requirements, and an interpreter for which they are to be met."""

    kind: InterpreterKind
    requirements: Requirements


def default_index() -> str:
    """The index that pip asks where none is named."""
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


@contextmanager
def opened(
    url: str,
    downloads: Path | None = None,
    timeouts: Timeouts | None = None,
    own: Container[NormalizedName] = (),
) -> Iterator[PackageIndex]:
    """An index to ask for all but `own`; what is downloaded lies in the user's cache folder, or in `downloads`."""
    with tempfile.TemporaryDirectory(prefix="envfab-") as folder:
        cache = cache_folder(os.environ)
        place = downloads or (cache / "fetched" if cache is not None else Path(folder))
        with IndexSession(timeouts) as web, PackageIndex(url, web, place, own) as index:
            yield index


def needed(
    jobs: Sequence[FetchJob],
    wheelhouse: Wheelhouse,
    index: PackageIndex,
    reporter: Reporter,
    rule: AgeRule | None = None,
) -> Needed:
    """The wheels that all jobs come to, those of the index only if they are as old as `rule` wants; raises
    `SupplyError` that tells, for every interpreter, what cannot be met and why."""
    search = _Search(wheelhouse, index, rule or AgeRule(0))
    reporter.stage("resolving", len(jobs))
    for job in jobs:
        reporter.working(job.kind.interpreter.title, "resolving")
        search.run(job)
        reporter.advance("resolving", job.kind.interpreter.title)
    if search.problems:
        raise SupplyError("\n".join(search.problems))
    return search.result()


@dataclass(slots=True)
class _Search:
    """The search for the wheels of several jobs, and what it found."""

    wheelhouse: Wheelhouse
    index: PackageIndex
    rule: AgeRule
    here: dict[str, Wheel] = field(default_factory=dict)
    lacking: dict[str, Wheel] = field(default_factory=dict)
    held_back: dict[str, HeldBack] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def run(self, job: FetchJob) -> None:
        interpreter = job.kind.interpreter
        environment = Environment(interpreter)
        old_enough = OldEnough(ForInterpreter.of(self.index, interpreter), self.rule)
        both = Both(self.wheelhouse, old_enough)
        entries = applicable(job.requirements.entries, environment)
        self.index.expect(dict.fromkeys(entry.name for entry in entries))
        held = HeldBackSearch(old_enough, PagesAlone(self.index), environment)
        try:
            chosen = solve(job.requirements, interpreter, both)
        except Unsolvable as problem:
            self._explain(problem, job, held)
            return
        for wheel in chosen.values():
            (self.here if both.has(wheel) else self.lacking)[wheel.filename] = wheel
        wanted = [*job.requirements.entries, *job.requirements.constraints]
        requirements = [one.requirement for one in applicable(wanted, environment)]
        for wheel in chosen.values() if old_enough.objections else ():
            requirements += environment.needed(both.metadata(wheel).requires)
        for wheel in chosen.values():
            specifiers = [one.specifier for one in requirements if canonicalize_name(one.name) == wheel.name]
            self._note(held.find(wheel.name, specifiers, wheel.version))

    def _note(self, held: HeldBack | None) -> None:
        if held is not None:
            self.held_back[str(held)] = held

    def _explain(self, problem: Unsolvable, job: FetchJob, held: HeldBackSearch) -> None:
        self.problems.append(str(explained(problem, job.requirements, job.kind, self.index)))
        found = [one for name in held.old_enough.objections if (one := held.find(name)) is not None]
        self.problems += [f"  {one}" for one in found]
        if found:
            names = ", ".join(canonicalize_name(one.shown_as) for one in found)
            self.problems.append(f"  to take them all the same: --older-than 0, or {names} in older_than_except")

    def result(self) -> Needed:
        wheels = [*self.here.values(), *self.lacking.values()]
        statuses = {wheel.shown_as: status for wheel in wheels if (status := self.index.status(wheel.name)).told}
        return Needed(_by_filename(self.here), _by_filename(self.lacking), statuses, tuple(self.held_back.values()))


def _by_filename(found: Mapping[str, Wheel]) -> list[Wheel]:
    return [found[filename] for filename in sorted(found)]


def download(wheels: Sequence[Wheel], index: PackageIndex, reporter: Reporter) -> list[Path]:
    """The wheels on disk, each verified and inspected; raises the first `EnvfabError`, keeping what has come."""
    size = sum(index.file(wheel).size or 0 for wheel in wheels)
    reporter.stage(f"downloading {size / 1e6:.1f} MB", len(wheels))

    def one(wheel: Wheel) -> Path:
        reporter.working(wheel.filename, "downloading")
        path = index.download(wheel)
        inspect(path)
        return path

    with ThreadPool(DOWNLOADS_AT_ONCE, "envfab-download") as pool:
        futures = {pool.submit(one, wheel): wheel for wheel in wheels}
        for future in as_completed(futures):
            future.result()
            reporter.advance(f"downloading {size / 1e6:.1f} MB", futures[future].filename)
        return [future.result() for future in futures]


def take_in(paths: Sequence[Path], wheelhouse: Wheelhouse) -> list[Added]:
    """Add downloaded wheels to the wheelhouse, and forget the downloads."""
    added = wheelhouse.add_all(paths)
    forget(paths)
    return added


def forget(paths: Sequence[Path]) -> None:
    """Remove downloads that are where they belong."""
    for path in paths:
        shutil.rmtree(path.parent, ignore_errors=True)


def distinct(jobs: Sequence[FetchJob]) -> list[FetchJob]:
    """The jobs with one for each interpreter and requirements, its targets joined."""
    found: list[FetchJob] = []
    for job in jobs:
        for number, known in enumerate(found):
            if known.kind.interpreter == job.kind.interpreter and known.requirements == job.requirements:
                targets = dict.fromkeys([*known.kind.targets, *job.kind.targets])
                found[number] = replace(known, kind=replace(known.kind, targets=tuple(targets)))
                break
        else:
            found.append(job)
    return found
