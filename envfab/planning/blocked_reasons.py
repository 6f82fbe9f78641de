"""The reasons why a plan is blocked, in words: what the wheelhouse lacks, and which requirements conflict."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.models.wheel import Release, Wheel
from envfab.planning.candidates import Candidate, Candidates, allowed
from envfab.planning.plan import Missing
from envfab.planning.resolver import Cause, Criterion, NoSolution, ResolutionProblem, criteria_of, resolve

_VERSIONS_SHOWN = 5
_LINES_SHOWN = 8
# how many searches are made at most; each finds further requirements that the wheelhouse cannot meet
_SEARCHES = 30
_ROUNDS = 2_000


def explain(failure: NoSolution, problem: ResolutionProblem) -> tuple[tuple[Missing, ...], tuple[str, ...]]:
    """Return (what is missing, conflicts) for a failed search; there are conflicts only if nothing is missing.

    Missing requirements are waived and the search is repeated, so that it finds what their dependents miss as well.
    """
    missing: dict[Missing, None] = {}
    for _ in range(_SEARCHES):
        lacking = _lacking(failure, problem)
        if not lacking and not missing:
            return (), tuple(_why_not(failure, problem))
        missing.update((_missing(cause, failure, problem), None) for cause in lacking)
        if not lacking or failure.exhausted:
            break
        waived = {(cause.criterion.name, str(cause.criterion.specifier)) for cause in lacking}
        more = [criterion for cause in lacking for criterion in _criteria_of_unlogged(cause.criterion, problem)]
        problem = replace(problem, criteria=[*problem.criteria, *more], waived=problem.waived | waived)
        again = resolve(problem, _ROUNDS)
        if not isinstance(again, NoSolution):
            break
        failure = again
    return tuple(missing), ()


def _lacking(failure: NoSolution, problem: ResolutionProblem) -> list[Cause]:
    """The criteria of a failed search that no candidate meets."""
    direct = [Cause(criterion, None) for criterion in problem.criteria]
    return _unique(
        cause
        for cause in (*direct, *failure.causes)
        if cause.criterion.exactly is None
        and not problem.waives(cause.criterion)
        and not _served(cause.criterion, problem)
    )


def _why_not(failure: NoSolution, problem: ResolutionProblem) -> Iterable[str]:
    if failure.exhausted and not failure.causes:
        return ["the search for a set of versions was given up, too many steps: pin some of the requirements with =="]
    return _conflicts(failure, problem)


def why_missing(name: NormalizedName, specifier: SpecifierSet, problem: ResolutionProblem) -> str:
    """Return why no wheel of the wheelhouse meets a requirement: the first check that none of the wheels passes."""
    candidates = problem.candidates
    if candidates.free is not None and name not in candidates.free:
        installed = candidates.installed.get(name)
        state = f"{installed.version_text} is installed" if installed else "it is not installed"
        return f"{state}, and --only does not name it; name it as well"
    shelf = candidates.shelf(name)
    found = _unlogged(name, specifier, problem)
    if found is None:
        return _why_not_from(shelf, name, specifier, problem)
    unlogged = f"{found[0].filename} is in the wheelhouse but not logged: fab add_wheel {found[1]}"
    return f"{_why_not_from(shelf, name, specifier, problem)}\n{unlogged}" if shelf else unlogged


def _unlogged(name: NormalizedName, specifier: SpecifierSet, problem: ResolutionProblem) -> tuple[Wheel, str] | None:
    """The newest wheel in the wheelhouse that is not logged, and that fits as far as its file name tells."""
    candidates = problem.candidates
    wanted = specifier & problem.constraints.get(name, SpecifierSet())
    found = [
        (wheel, place)
        for wheel, place in candidates.catalogue.unlogged(name)
        if wanted.contains(wheel.version, prereleases=True) and candidates.fits(wheel)
    ]
    return max(found, key=lambda pair: (pair[0].version, pair[0].build, pair[0].filename), default=None)


def _criteria_of_unlogged(criterion: Criterion, problem: ResolutionProblem) -> Iterable[Criterion]:
    """The criteria of the dependencies of the wheel that would meet `criterion` if it were logged."""
    found = _unlogged(criterion.name, criterion.specifier, problem)
    metadata = problem.candidates.metadata(found[0]) if found else None
    if metadata is None:
        return []
    wanted = problem.candidates.environment.needed(metadata.requires, criterion.extras & metadata.extras)
    return [one for requirement in wanted for one in criteria_of(requirement, f"{metadata.name} {metadata.version}")]


def _why_not_from(
    shelf: Mapping[Version, Sequence[Release]],
    name: NormalizedName,
    specifier: SpecifierSet,
    problem: ResolutionProblem,
) -> str:
    candidates = problem.candidates
    if not shelf:
        return "the wheelhouse has no wheel of it" + _suggestion(name, problem)
    fitting_range = specifier & problem.constraints.get(name, SpecifierSet())
    inside = [version for version in shelf if fitting_range.contains(version, prereleases=True)]
    if not inside:
        constrained = any(specifier.contains(version, prereleases=True) for version in shelf)
        return f"the wheelhouse has {_listed(shelf)}" + (", which a constraint rules out" if constrained else "")
    of_tags = [release for version in inside for release in candidates.fitting(shelf[version])]
    if not of_tags:
        return _tags_there_are(
            [release for version in inside for release in shelf[version]],
            candidates.environment.interpreter.tags or (),
        )
    supported = [release for release in of_tags if candidates.supported(release)]
    if not supported:
        return _unsupported(of_tags, problem)
    hashes = problem.hashes.get(name)
    admitted = [release for release in supported if allowed(release.wheel, hashes)]
    if not admitted:
        versions = _listed({release.wheel.version for release in supported})
        if all(release.wheel.sha256 is None for release in supported):
            return f"the release log has no hash for {versions}: log it again with add_wheel"
        return f"the wheelhouse has {versions}, but no wheel with a pinned hash"
    withdrawn = [release for release in admitted if release.yanked]
    if not withdrawn:
        return f"the wheelhouse has pre-releases only: {_listed(one.wheel.version for one in admitted)}"
    newest = withdrawn[0]
    return f"{newest.wheel.version} was yanked" + (f": {newest.yanked_reason}" if newest.yanked_reason else "")


def _served(criterion: Criterion, problem: ResolutionProblem) -> bool:
    return next(problem.matching(criterion.name, criterion.specifier), None) is not None


def _unique(causes: Iterable[Cause]) -> list[Cause]:
    """Each criterion of each parent once; a requirement with extras and a specifier makes two criteria."""
    return list({(cause.criterion.text, cause.criterion.origin, str(cause.parent)): cause for cause in causes}.values())


def _missing(cause: Cause, failure: NoSolution, problem: ResolutionProblem) -> Missing:
    required_by = cause.criterion.origin if cause.parent is None else _introduced(cause.parent, failure, problem)
    return Missing(
        cause.criterion.text, required_by, why_missing(cause.criterion.name, cause.criterion.specifier, problem)
    )


def _conflicts(failure: NoSolution, problem: ResolutionProblem) -> Iterable[str]:
    """A text for each project whose dependents require different versions."""
    by_name: dict[NormalizedName, list[Cause]] = {}
    for cause in _unique(failure.causes):
        by_name.setdefault(cause.criterion.name, []).append(cause)
    for name, of_name in by_name.items():
        wanted = {cause.criterion.text for cause in of_name}
        constraint = problem.constraints.get(name)
        if len(wanted) < 2 and constraint is None and len(by_name) > 1:
            continue
        yield _conflict(name, of_name, failure, problem)


def _conflict(name: NormalizedName, causes: Sequence[Cause], failure: NoSolution, problem: ResolutionProblem) -> str:
    shown = shown_as(name, problem.candidates)
    lines = sorted(dict.fromkeys(_requirement_and_source(cause, failure, problem) for cause in causes))
    if len(lines) > _LINES_SHOWN:
        lines = [*lines[:_LINES_SHOWN], f"and {len(lines) - _LINES_SHOWN} more"]
    constraint = problem.constraints.get(name)
    if constraint is not None:
        lines.append(f"{shown}{constraint} is a constraint")
    installed = problem.candidates.installed.get(name)
    there = [f"the wheelhouse has {_listed(problem.candidates.shelf(name))}"] if problem.candidates.shelf(name) else []
    there += [f"{installed.version_text} is installed"] if installed else []
    return "\n  ".join([f"no version of {shown} meets all requirements", *lines, *there])


def _requirement_and_source(cause: Cause, failure: NoSolution, problem: ResolutionProblem) -> str:
    if cause.parent is None:
        return f"{cause.criterion.text} required by {cause.criterion.origin}"
    if cause.criterion.exactly is not None:
        return f"{cause.criterion.text} for its extras {', '.join(sorted(cause.parent.extras))}"
    return f"{cause.criterion.text} required by {_introduced(cause.parent, failure, problem)}"


def _introduced(parent: Candidate, failure: NoSolution, problem: ResolutionProblem) -> str:
    """A candidate with the line that requires it, or else the projects that do."""
    origins = dict.fromkeys(criterion.origin for criterion in problem.criteria if criterion.name == parent.name)
    dependents = failure.dependents.get(parent.name, ())
    why = ", ".join(origins) if origins else f"required by {', '.join(dependents)}" if dependents else ""
    added = ", ".join(filter(None, ("installed" if parent.wheel is None else "", why)))
    return f"{parent} ({added})" if added else str(parent)


def shown_as(name: NormalizedName, candidates: Candidates) -> str:
    """Return a project's name as published, if it is installed or has a wheel; else the canonical name."""
    installed = candidates.installed.get(name)
    if installed:
        return installed.shown_as
    for releases in candidates.shelf(name).values():
        return releases[0].wheel.shown_as
    return name


def _suggestion(name: NormalizedName, problem: ResolutionProblem) -> str:
    # a project of that very name is known where none of its wheels may be taken, such as those held back for their age
    others = [project for project in problem.candidates.catalogue.projects() if project != name]
    close = difflib.get_close_matches(name, others, n=1, cutoff=0.75)
    return f"; did you mean {shown_as(canonicalize_name(close[0]), problem.candidates)}?" if close else ""


def _listed(versions: Iterable[Version]) -> str:
    """Versions for people, oldest first; of many, only the newest."""
    ordered = [str(version) for version in sorted(versions)]
    more = f" and {len(ordered) - _VERSIONS_SHOWN} older" if len(ordered) > _VERSIONS_SHOWN else ""
    return ", ".join(ordered[-_VERSIONS_SHOWN:]) + more


def _tags_there_are(releases: Sequence[Release], supported: Sequence[Tag]) -> str:
    """What wheels are for whose tags do not fit, by the first part that does not: Python, ABI or platform."""
    tags = {tag for release in releases for tag in release.wheel.tags}
    if not supported:
        return "internal error: the interpreter has no tags, so no wheel fits"
    best = supported[0]
    pythons = {tag.interpreter for tag in supported}
    of_python = {tag for tag in tags if tag.interpreter in pythons}
    if not of_python:
        there = _only(tag.interpreter for tag in tags)
        return f"the wheelhouse has it for {there}; this interpreter is {best.interpreter}"
    abis = {(tag.interpreter, tag.abi) for tag in supported}
    of_abi = {tag for tag in of_python if (tag.interpreter, tag.abi) in abis}
    if not of_abi:
        there = _only(f"{tag.interpreter}-{tag.abi}" for tag in of_python)
        return f"the wheelhouse has it for {there}; this interpreter is {best.interpreter}-{best.abi}"
    return f"the wheelhouse has it for {_only(tag.platform for tag in of_abi)}; this machine is {best.platform}"


def _only(parts: Iterable[str]) -> str:
    return f"{', '.join(sorted(set(parts)))} only"


def _unsupported(releases: Sequence[Release], problem: ResolutionProblem) -> str:
    release = releases[0]
    metadata = problem.candidates.metadata(release.wheel)
    if metadata is None:
        return f"cannot read {release.wheel.filename}: {problem.candidates.unreadable[release.wheel.filename]}"
    version = problem.candidates.environment.interpreter.version
    return f"{release.wheel.version} requires Python {metadata.requires_python}; this interpreter is {version}"
