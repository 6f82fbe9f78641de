"""What is odd about what is installed, whatever the plan: unmet requirements, installations that no wheel made."""

from __future__ import annotations

import shlex

from packaging.utils import canonicalize_name

from envfab.models.distribution import Origin
from envfab.models.probe import Probe, Stranded
from envfab.planning.marker_environment import Environment


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


def _stranded(probe: Probe, stranded: Stranded) -> str:
    """What to do about packages of another minor version, in a line."""
    python = probe.interpreter.markers["python_version"]
    count, them = ("1 package lies", "it") if stranded.packages == 1 else (f"{stranded.packages} packages lie", "them")
    path = f"{probe.target.path}/{stranded.folder}"
    return (
        f"{count} under {stranded.folder}, where Python {python} of bin/python does not look: deploy installs all that"
        f" is required anew for Python {python}, and rm -r {shlex.quote(path)} removes {them} afterwards;"
        f" or point bin/python back to {stranded.folder.rpartition('/')[2]}"
    )


def oddities(probe: Probe) -> tuple[str, ...]:
    """What people should know before they deploy, a line each; none of it is the deployment's doing."""
    lines = [_stranded(probe, probe.stranded)] if probe.stranded else []
    for origin in (Origin.EDITABLE, Origin.DIRECT_URL, Origin.EGG_INFO, Origin.EGG, Origin.DISTUTILS):
        there = [one for _, one in sorted(probe.distributions.items()) if one.origin is origin]
        if there:
            names = ", ".join(f"{one.shown_as} {one.version_text}" for one in there)
            lines.append(f"installed by other means ({origin.value}): {names}")
    return (*lines, *(f"already so: {sentence}" for sentence in sorted(unmet(probe))))
