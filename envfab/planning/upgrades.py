"""Dependencies that stay as they are (pip's `only-if-needed`) although there are newer wheels of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import NormalizedName

from envfab.models.wheel import Release
from envfab.planning.candidates import Candidate
from envfab.planning.plan import EVERYTHING, Newer, Options
from envfab.planning.resolver import NoSolution, ResolutionProblem, Solution, resolve


def newer(problem: ResolutionProblem, solution: Solution, options: Options) -> tuple[Newer, ...]:
    """Return what `--upgrade` would upgrade beyond `solution`, sorted by name.

    Raises `TagsUnknown` if the interpreter has no tags and there is a newer wheel that does not fit every interpreter.
    """
    if EVERYTHING in options.upgrade:
        return ()
    names = {name for name in _kept(problem, solution) if _has_newer(problem, solution.chosen[name])}
    if not names:
        return ()
    # only a search can tell whether a newer version meets the requirements of all others
    eager = resolve(replace(problem, requested=_With(problem, names)))
    if isinstance(eager, NoSolution):
        return ()
    found = []
    for name in sorted(names & eager.chosen.keys()):
        now, then = solution.chosen[name], eager.chosen[name]
        if then.wheel is not None and then.version > now.version:
            found.append(Newer(now.shown_as, str(now.version), str(then.version)))
    return tuple(found)


def _kept(problem: ResolutionProblem, solution: Solution) -> Iterator[NormalizedName]:
    """The projects that stay as installed and were not requested."""
    free = problem.candidates.free
    for name, candidate in solution.chosen.items():
        if candidate.wheel is None and name not in problem.requested and (free is None or name in free):
            yield name


def _has_newer(problem: ResolutionProblem, installed: Candidate) -> bool:
    """Whether there is a newer wheel that fits; the interpreter's tags are used only if they could rule it out."""
    candidates = problem.candidates
    for version, releases in candidates.shelf(installed.name).items():
        if version <= installed.version:
            return False
        if version.is_prerelease and not installed.version.is_prerelease:
            continue
        standing = [release for release in releases if not release.yanked]
        if any(_fits_all(release, candidates.environment.interpreter.version.major) for release in standing):
            return True
        if standing and candidates.fitting(standing):
            return True
    return False


def _fits_all(release: Release, major: int) -> bool:
    """Whether a wheel is pure and for every Python of this major version."""
    return any((tag.interpreter, tag.abi, tag.platform) == (f"py{major}", "none", "any") for tag in release.wheel.tags)


class _With:
    """A container of the requested names and `names`."""

    def __init__(self, problem: ResolutionProblem, names: set[NormalizedName]) -> None:
        self._requested, self._names = problem.requested, names

    def __contains__(self, name: object) -> bool:
        return name in self._requested or name in self._names
