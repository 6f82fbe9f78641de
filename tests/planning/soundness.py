"""An independent judge of plans: what a virtualenv would hold afterwards, and whether that meets everybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envfab.models.distribution import Distribution
from envfab.models.probe import Probe
from envfab.models.requirements import Requirements
from envfab.planning.plan import Plan
from tests.planning.catalogue import DictCatalogue


def applied(plan: Plan, before: Probe, catalogue: DictCatalogue) -> Probe:
    """The virtualenv after the plan was carried out."""
    after = dict(before.distributions)
    for action in plan.actions:
        after.pop(action.name, None)
        if action.wheel is not None:
            metadata = catalogue.metadata(action.wheel)
            after[action.name] = Distribution(
                action.name,
                metadata.version,
                metadata.name,
                str(metadata.version),
                metadata.requires,
                metadata.extras,
            )
    return replace(before, distributions=after, leftovers=(), duplicates=())


def unmet(there: Probe, requirements: Requirements) -> list[str]:
    """What the requirements ask for, at any remove, and is not there."""
    installed = {**there.outside, **there.distributions}
    environment = there.interpreter.markers
    problems = []
    waiting = [
        entry.requirement for entry in requirements.entries if _counts(entry.requirement, environment, frozenset())
    ]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        found = installed.get(name)
        if not _satisfied(requirement, found):
            problems.append(str(requirement))
            continue
        assert found is not None
        extras = frozenset(canonicalize_name(extra) for extra in requirement.extras) & found.extras
        if (name, extras) not in seen:
            seen.add((name, extras))
            waiting += [needed for needed in found.requires if _counts(needed, environment, extras)]
    return problems + _against(requirements, {name for name, _ in seen}, installed, environment)


def _against(
    requirements: Requirements,
    reached: Iterable[NormalizedName],
    installed: Mapping[NormalizedName, Distribution],
    environment: Mapping[str, str],
) -> list[str]:
    return [
        f"constraint {entry.requirement}"
        for entry in requirements.constraints
        if entry.name in set(reached)
        and _counts(entry.requirement, environment, frozenset())
        and not _satisfied(entry.requirement, installed.get(entry.name))
    ]


def _satisfied(requirement: Requirement, found: Distribution | None) -> bool:
    return (
        found is not None
        and found.version is not None
        and requirement.specifier.contains(found.version, prereleases=True)
    )


def _counts(requirement: Requirement, environment: Mapping[str, str], extras: frozenset[NormalizedName]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras or {""})
