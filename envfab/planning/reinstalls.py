"""Repairs: distributions to install again in the same version, as asked for or after an interrupted pip."""

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
    """A distribution of the virtualenv to install again, the reason, and whether `--reinstall` asked for it."""

    name: NormalizedName
    reason: str
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Repairs:
    """The repairs, one for each project, and warnings about what cannot be repaired."""

    repairs: tuple[Repair, ...]
    warnings: tuple[str, ...]


def repairs(
    probe: Probe,
    asked: Set[NormalizedName],
    installed: Mapping[NormalizedName, Distribution],
    required: Set[NormalizedName],
) -> Repairs:
    """Return the repairs of what is `asked` for, and of what the probe found damaged."""
    found: dict[NormalizedName, Repair] = {}
    warnings = []
    for name in sorted(asked):
        if name in probe.distributions:
            found[name] = Repair(name, "asked for with --reinstall", asked=True)
        elif name in installed:
            warnings.append(f"{installed[name].shown_as} is outside the virtualenv and is not reinstalled")
    for text in sorted(probe.duplicates):
        name = canonicalize_name(text)
        if name in probe.distributions:
            found.setdefault(name, Repair(name, f"{probe.distributions[name].shown_as} is installed twice"))
    for leftover in sorted(probe.leftovers):
        warnings.append(f"{leftover} is a leftover of an interrupted pip")
        of = _whose(leftover, probe.distributions.keys() | required)
        if of is not None and of in probe.distributions:
            found.setdefault(of, Repair(of, f"{leftover} is a leftover of an interrupted pip"))
    return Repairs(tuple(found.values()), tuple(warnings))


def _whose(leftover: str, names: Set[NormalizedName]) -> NormalizedName | None:
    """The project whose name pip turned into a leftover's, such as `~jango`, if only one is possible.

    pip replaces the first letters of a folder that it removes by such characters.
    """
    stem = leftover.rstrip("/").rpartition("/")[2]
    for ending in _METADATA_FOLDERS:
        if stem.endswith(ending):
            stem = stem.removesuffix(ending).partition("-")[0]
    rest = canonicalize_name(stem.lstrip(_STAND_INS))
    matching = [name for name in names if rest and len(name) == len(stem) and name.endswith(rest)]
    return matching[0] if len(matching) == 1 else None
