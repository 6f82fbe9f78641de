"""Which requirements of what is installed are not met, whatever the plan."""

from __future__ import annotations

from packaging.utils import canonicalize_name

from envfab.facts.probe import Probe
from envfab.planning.environment import Environment


def unmet(probe: Probe) -> frozenset[str]:
    """Every `Requires-Dist` in force here that nothing installed satisfies, in a sentence each."""
    installed = {**probe.outside, **probe.distributions}
    environment = Environment(probe.interpreter)
    found = set()
    for distribution in probe.distributions.values():
        for requirement in environment.needed(distribution.requires):
            there = installed.get(canonicalize_name(requirement.name))
            if there is None:
                found.add(f"{distribution.shown_as} wants {requirement}, which is not installed")
            elif there.version is not None and not requirement.specifier.contains(there.version, prereleases=True):
                found.add(f"{distribution.shown_as} wants {requirement}, installed is {there.version}")
    return frozenset(found)
