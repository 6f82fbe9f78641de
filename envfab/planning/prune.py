"""Distributions installed beyond the requirements: which of them a plan breaks, and which can be removed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.models.distribution import Distribution, Origin
from envfab.models.probe import Probe
from envfab.planning.marker_environment import Environment
from envfab.planning.plan import Action, ActionKind
from envfab.planning.resolver import Solution

# installers, and what virtualenv installs: no requirements name them, and they are never removed
_NEVER_PRUNED = frozenset(
    canonicalize_name(name) for name in ("pip", "setuptools", "wheel", "distribute", "pkg_resources", "uv")
)


def broken_by(
    actions: Mapping[NormalizedName, Action],
    installed: Mapping[NormalizedName, Distribution],
    environment: Environment,
    settled: Container[NormalizedName],
) -> list[str]:
    """Return a text for each requirement, met now, of an installed distribution that the actions would break.

    `settled` are the projects that the resolver decided on; their requirements are met.
    """
    before = {name: there.version for name, there in installed.items()}
    after = {**before, **{name: action.version for name, action in actions.items()}}
    broken = []
    for name in sorted(installed):
        if name in settled or name in actions:
            continue
        for requirement in environment.needed(installed[name].requires):
            of = canonicalize_name(requirement.name)
            if _met(requirement, before.get(of)) and not _met(requirement, after.get(of)):
                broken.append(_breakage(installed[name], requirement, actions[of]))
    return broken


def _met(requirement: Requirement, version: Version | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _breakage(bystander: Distribution, requirement: Requirement, action: Action) -> str:
    wanted = str(requirement).partition(";")[0].strip()
    fate = "would be removed" if action.kind is ActionKind.REMOVE else f"would become {action.version}"
    return (
        f"{bystander.shown_as} {bystander.version_text} is installed and needs {wanted}, "
        f"but {action.shown_as} {action.installed} {fate}"
        f"\n  require a version of {bystander.shown_as} that works with it, remove it, or use --force"
    )


def unrequired(probe: Probe, environment: Environment, solution: Solution) -> list[NormalizedName]:
    """Return the virtualenv's own distributions that nothing requires: no requirements, and nothing that stays."""
    outside = {name for name, there in probe.distributions.items() if there.origin is Origin.OUTSIDE}
    staying = {name: there for name, there in probe.distributions.items() if name in _NEVER_PRUNED or name in outside}
    kept = {*solution.chosen} | _reached([*staying.values(), *probe.outside.values()], probe, environment)
    return sorted(probe.distributions.keys() - kept - staying.keys())


def _reached(roots: Iterable[Distribution], probe: Probe, environment: Environment) -> set[NormalizedName]:
    """The projects that `roots` require, directly or through other installed distributions."""
    reached: set[NormalizedName] = set()
    waiting = [(root, frozenset[NormalizedName]()) for root in roots]
    seen = set()
    while waiting:
        there, extras = waiting.pop()
        for requirement in environment.needed(there.requires, extras):
            name = canonicalize_name(requirement.name)
            reached.add(name)
            wanted = frozenset(canonicalize_name(extra) for extra in requirement.extras)
            if name in probe.distributions and (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting.append((probe.distributions[name], wanted))
    return reached
