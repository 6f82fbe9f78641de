"""What has to be installed again as it is: asked for, or left damaged by an interrupted pip."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from packaging.utils import NormalizedName, canonicalize_name

from envfab.models.distribution import Distribution
from envfab.models.probe import Probe

_METADATA_FOLDERS = (".dist-info", ".egg-info")
_STAND_INS = "~-.=%"


@dataclass(frozen=True, slots=True)
class Repair:
    """A distribution of the virtualenv to install again, why, and whether somebody asked for it."""

    name: NormalizedName
    reason: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Repairs:
    """What can be repaired, one a name, and what can only be told."""

    repairs: tuple[Repair, ...]
    warnings: tuple[str, ...]


def repairs(
    probe: Probe,
    asked: Set[NormalizedName],
    installed: Mapping[NormalizedName, Distribution],
    required: Set[NormalizedName],
) -> Repairs:
    """The repairs that `asked` and the probe call for."""
    found: dict[NormalizedName, Repair] = {}
    warnings = []
    for name in sorted(asked):
        if name in probe.distributions:
            found[name] = Repair(name, "asked for with --reinstall", asked=True)
        elif name in installed:
            warnings.append(f"{installed[name].shown_as} lies outside the virtualenv and is not reinstalled")
    for text in sorted(probe.duplicates):
        name = canonicalize_name(text)
        if name in probe.distributions:
            found.setdefault(name, Repair(name, f"{probe.distributions[name].shown_as} is installed twice"))
    for leftover in sorted(probe.leftovers):
        warnings.append(f"{leftover} is left of an interrupted pip")
        of = _whose(leftover, probe.distributions.keys() | required)
        if of is not None and of in probe.distributions:
            found.setdefault(of, Repair(of, f"{leftover} is left of an interrupted pip"))
    return Repairs(tuple(found.values()), tuple(warnings))


def _whose(leftover: str, names: Set[NormalizedName]) -> NormalizedName | None:
    """The one name of which pip's `~ame` can be the rest: it puts such characters in the place of the first letters."""
    stem = leftover.rstrip("/").rpartition("/")[2]
    for ending in _METADATA_FOLDERS:
        if stem.endswith(ending):
            stem = stem.removesuffix(ending).partition("-")[0]
    rest = canonicalize_name(stem.lstrip(_STAND_INS))
    matching = [name for name in names if rest and len(name) == len(stem) and name.endswith(rest)]
    return matching[0] if len(matching) == 1 else None
