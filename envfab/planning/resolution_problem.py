"""Construction of the problem that the resolver solves, from requirements and options."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from envfab.models.distribution import Distribution
from envfab.models.requirements import Entry
from envfab.planning.candidates import Candidates
from envfab.planning.marker_environment import Environment
from envfab.planning.plan import EVERYTHING, Options
from envfab.planning.resolver import Criterion, ResolutionProblem, criteria_of


def pose_problem(
    entries: Sequence[Entry], constraints: Sequence[Entry], candidates: Candidates, options: Options
) -> ResolutionProblem:
    """Make the resolver's problem from the requirements and constraints that apply to the target, and the options."""
    direct = [entry for entry in entries if not options.only or entry.name in options.only]
    criteria = [criterion for entry in direct for criterion in criteria_of(entry.requirement, entry.origin)]
    if options.only:
        criteria += _named(options.only, {entry.name for entry in direct}, candidates.installed, "--only")
        criteria += [] if options.force else _of_the_others(options.only, candidates.environment, candidates.installed)
    else:
        named = options.upgrade - {EVERYTHING}
        criteria += _named(named, {entry.name for entry in direct}, candidates.installed, "--upgrade")
    return ResolutionProblem(
        criteria,
        candidates,
        _merged(constraints),
        _pinned_hashes((*entries, *constraints)),
        _requested(entries, options),
    )


def _requested(entries: Sequence[Entry], options: Options) -> Container[NormalizedName]:
    """The projects whose newest version is requested, whatever is installed."""
    if EVERYTHING in options.upgrade:
        return _Everything()
    return frozenset(entry.name for entry in entries) | options.only | options.upgrade


class _Everything(Container[NormalizedName]):
    """A container that has every name."""

    def __contains__(self, _name: object) -> bool:
        return True


def _merged(constraints: Iterable[Entry]) -> dict[NormalizedName, SpecifierSet]:
    merged: dict[NormalizedName, SpecifierSet] = {}
    for entry in constraints:
        merged[entry.name] = merged.get(entry.name, SpecifierSet()) & entry.requirement.specifier
    return merged


def _pinned_hashes(entries: Iterable[Entry]) -> dict[NormalizedName, frozenset[str]]:
    """The digests that every line on a project allows; lines without hashes do not restrict them."""
    pinned: dict[NormalizedName, frozenset[str]] = {}
    for entry in entries:
        if entry.hashes:
            pinned[entry.name] = pinned.get(entry.name, entry.hashes) & entry.hashes
    return pinned


def _named(
    names: Set[NormalizedName],
    direct: Set[NormalizedName],
    installed: Mapping[NormalizedName, Distribution],
    option: str,
) -> Iterator[Criterion]:
    """Criteria, for any version, of projects that an option names, that are installed, and that no line requires."""
    for name in sorted((names & installed.keys()) - direct):
        yield Criterion(name, frozenset(), SpecifierSet(), installed[name].shown_as, option)


def _of_the_others(
    only: Set[NormalizedName], environment: Environment, installed: Mapping[NormalizedName, Distribution]
) -> Iterator[Criterion]:
    """Criteria by which `--only` keeps met what the other installed distributions require of the named projects."""
    for name in sorted(installed.keys() - only):
        other = installed[name]
        for requirement in environment.needed(other.requires):
            for criterion in criteria_of(requirement, f"{other.shown_as} {other.version_text}, which stays"):
                there = installed.get(criterion.name)
                whole = (
                    there is not None
                    and there.version is not None
                    and criterion.specifier.contains(there.version, prereleases=True)
                )
                if criterion.name in only and whole:
                    yield replace(criterion, extras=frozenset())
