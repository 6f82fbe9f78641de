"""What is installed in an older version than there is, in the wheelhouse or in an index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.fetch.age_rule import HeldBack, HeldBackSearch, OldEnough
from envfab.index.client import PagesAlone
from envfab.index.project_status import ProjectStatus
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.planning.candidates import Candidates
from envfab.planning.catalogue import Catalogue
from envfab.planning.marker_environment import Environment, applicable


@dataclass(frozen=True, slots=True)
class Outdated:
    """An installed distribution, the newest version in each source that has a newer one, and the newest one, in any
    source, that the requirements and all that is installed allow: None where they allow nothing newer."""

    shown_as: str
    installed: Version
    newest: Mapping[str, Version]
    allowed: Version | None


def outdated(probe: Probe, requirements: Requirements, sources: Mapping[str, Catalogue]) -> Iterator[Outdated]:
    """The virtualenv's own distributions that are behind, by name; the probe must have the interpreter's tags."""
    environment = Environment(probe.interpreter)
    shelves = {source: Candidates(environment, {}, catalogue) for source, catalogue in sources.items()}
    demands = _demands(probe, requirements, environment)
    for name in sorted(probe.distributions):
        there = probe.distributions[name]
        if there.version is None:
            continue
        newest, allowed = {}, []
        for source, shelf in shelves.items():
            found = _newest(shelf, name, SpecifierSet())
            if found is not None and found > there.version:
                newest[source] = found
            within = _newest(shelf, name, demands.get(name, SpecifierSet()))
            if within is not None and within > there.version:
                allowed.append(within)
        if newest or allowed:
            yield Outdated(there.shown_as, there.version, newest, max(allowed, default=None))


def not_active(probes: Sequence[Probe], pages: PagesAlone) -> dict[str, ProjectStatus]:
    """The statuses of installed projects that are not active in the index (PEP 792), by the names as installed."""
    installed = {one.name: one.shown_as for probe in probes for one in probe.distributions.values()}
    return {shown_as: status for name, shown_as in installed.items() if (status := pages.status(name)).told}


def held_back(probes: Sequence[Probe], old_enough: OldEnough, pages: Catalogue) -> list[HeldBack]:
    """The versions of an index that are newer than what is installed, and than what is old enough to be fetched.

    `pages` has all releases of the index, also those that `old_enough` leaves out.
    """
    return list(dict.fromkeys(one for probe in probes for one in _held_back(probe, old_enough, pages)))


def _held_back(probe: Probe, old_enough: OldEnough, pages: Catalogue) -> Iterator[HeldBack]:
    environment = Environment(probe.interpreter)
    search = HeldBackSearch(old_enough, pages, environment)
    shelf = Candidates(environment, {}, old_enough)
    for name in sorted(probe.distributions):
        installed = probe.distributions[name].version
        newest = _newest(shelf, name, SpecifierSet())
        at_least = max((one for one in (installed, newest) if one is not None), default=None)
        if (found := search.find(name, (), at_least)) is not None:
            yield replace(found, taken=None)


def _newest(shelf: Candidates, name: NormalizedName, specifier: SpecifierSet) -> Version | None:
    found = next(shelf.matching(name, specifier), None)
    return found.version if found else None


def _demands(
    probe: Probe, requirements: Requirements, environment: Environment
) -> Mapping[NormalizedName, SpecifierSet]:
    """What requirements, constraints and what is installed want of each name."""
    demands: dict[NormalizedName, SpecifierSet] = {}
    wanted = [one.requirement for one in applicable([*requirements.entries, *requirements.constraints], environment)]
    for there in {**probe.outside, **probe.distributions}.values():
        wanted += environment.needed(there.requires)
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        demands[name] = demands.get(name, SpecifierSet()) & requirement.specifier
    return demands
