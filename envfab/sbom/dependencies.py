"""The graph of dependencies between the distributions of a virtualenv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packaging.utils import NormalizedName, canonicalize_name

from envfab.models.probe import Probe
from envfab.planning.marker_environment import Environment


def dependencies(probe: Probe) -> Mapping[NormalizedName, Sequence[NormalizedName]]:
    """What each of the virtualenv's own distributions requires of the others, by the target's markers (PEP 508).

    An extra counts where a distribution requires it.
    """
    environment = Environment(probe.interpreter)
    own = probe.distributions
    extras: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in own}
    edges: dict[NormalizedName, set[NormalizedName]] = {name: set() for name in own}
    waiting = list(own)
    while waiting:
        name = waiting.pop()
        for requirement in environment.needed(own[name].requires, extras[name]):
            needed = canonicalize_name(requirement.name)
            if needed not in own:
                continue
            if needed != name:
                edges[name].add(needed)
            asked = {canonicalize_name(extra) for extra in requirement.extras} - extras[needed]
            if asked:
                extras[needed] |= asked
                waiting.append(needed)
    return {name: sorted(needed) for name, needed in edges.items()}


def tops(graph: Mapping[NormalizedName, Sequence[NormalizedName]]) -> list[NormalizedName]:
    """The names from which all others are reached: those that none requires, and one of each cycle."""
    needed = {name for names in graph.values() for name in names}
    found = sorted(graph.keys() - needed)
    reached: set[NormalizedName] = set()
    for name in [*found, *sorted(graph)]:
        if name in reached:
            continue
        if name in needed:
            found.append(name)
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += graph[one]
    return found
