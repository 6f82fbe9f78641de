"""Checks of what is installed, whatever the plan: unmet requirements, packages installed by other means."""

from __future__ import annotations

import shlex

from packaging.utils import canonicalize_name

from envfab.models.distribution import Origin
from envfab.models.probe import Probe, Stranded
from envfab.planning.marker_environment import Environment


def unmet(probe: Probe) -> frozenset[str]:
    """Return a sentence for each applicable `Requires-Dist` of an installed distribution that is not met."""
    installed = {**probe.outside, **probe.distributions}
    environment = Environment(probe.interpreter)
    found = set()
    for distribution in probe.distributions.values():
        for requirement in environment.needed(distribution.requires):
            there = installed.get(canonicalize_name(requirement.name))
            if there is None:
                found.add(f"{distribution.shown_as} requires {requirement}, which is not installed")
            elif there.version is not None and not requirement.specifier.contains(there.version, prereleases=True):
                found.add(f"{distribution.shown_as} requires {requirement}, but {there.version} is installed")
    return frozenset(found)


def _stranded(probe: Probe, stranded: Stranded) -> str:
    """A line about packages that were installed for another minor version of Python, and what to do about them."""
    python = probe.interpreter.markers["python_version"]
    count, them = ("1 package is", "it") if stranded.packages == 1 else (f"{stranded.packages} packages are", "them")
    path = f"{probe.target.path}/{stranded.folder}"
    return (
        f"{count} in {stranded.folder}, which bin/python (Python {python}) does not use: deploy installs the"
        f" requirements for Python {python}, then remove {them} with rm -r {shlex.quote(path)};"
        f" or make bin/python a link to {stranded.folder.rpartition('/')[2]} again"
    )


def oddities(probe: Probe) -> tuple[str, ...]:
    """Return a line for each peculiarity of a virtualenv that people should know before they deploy to it."""
    lines = [_stranded(probe, probe.stranded)] if probe.stranded else []
    for origin in (Origin.EDITABLE, Origin.DIRECT_URL, Origin.EGG_INFO, Origin.EGG, Origin.DISTUTILS):
        there = [one for _, one in sorted(probe.distributions.items()) if one.origin is origin]
        if there:
            names = ", ".join(f"{one.shown_as} {one.version_text}" for one in there)
            lines.append(f"installed by other means ({origin.value}): {names}")
    return (*lines, *(f"broken before this deployment: {sentence}" for sentence in sorted(unmet(probe))))
