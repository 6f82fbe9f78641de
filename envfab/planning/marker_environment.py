"""Markers, evaluated for the target's interpreter and never for the one that runs this program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.errors import EnvfabError
from envfab.models.interpreter import MARKER_NAMES, Interpreter
from envfab.models.requirement_entries import Entry, LockedPackage

# What packaging raises for markers that compare what cannot be compared; `InvalidVersion` is a `ValueError`.
_NONSENSE = (UndefinedComparison, UndefinedEnvironmentName, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Environment:
    """What an interpreter makes of markers and of Requires-Python."""

    interpreter: Interpreter

    def __post_init__(self) -> None:
        absent = sorted(MARKER_NAMES - self.interpreter.markers.keys())
        if absent:
            raise EnvfabError(
                f"the marker environment lacks {', '.join(absent)}", where=self.interpreter.title, hint="probe it again"
            )

    def applies(self, marker: Marker | None, extras: Iterable[str] = ()) -> bool:
        """Whether a requirement with `marker` counts when `extras` are asked for; nonsense never does."""
        if marker is None:
            return True
        try:
            return any(
                marker.evaluate({**self.interpreter.markers, "extra": extra}) for extra in (tuple(extras) or ("",))
            )
        except _NONSENSE:
            return False

    def chooses(self, package: LockedPackage) -> bool:
        """Whether a package of a lock file counts, by its marker and the extras and groups that are chosen.

        Raises `EnvfabError` for a marker that cannot be evaluated.
        """
        if package.marker is None:
            return True
        chosen = {"extras": package.lock.extras, "dependency_groups": package.lock.groups}
        try:
            return package.marker.evaluate({**self.interpreter.markers, **chosen}, context="lock_file")
        except _NONSENSE:
            raise EnvfabError(
                f"its marker cannot be evaluated: {package.marker}", where=package.lock.name, hint="lock it again"
            ) from None

    def needed(self, requires: Iterable[Requirement], extras: Iterable[NormalizedName] = ()) -> Iterator[Requirement]:
        """Those of a distribution's `Requires-Dist` that count for `extras`."""
        wanted = sorted(extras)
        return (requirement for requirement in requires if self.applies(requirement.marker, wanted))

    def supports(self, requires_python: SpecifierSet) -> bool:
        """Whether `Requires-Python` admits this interpreter; like pip, a release candidate of 3.14 counts as 3.14."""
        return requires_python.contains(Version(self.interpreter.version.base_version), prereleases=True)


def applicable(entries: Iterable[Entry], environment: Environment) -> tuple[Entry, ...]:
    """Those whose markers hold for the target; raises `EnvfabError` for a lock file's that cannot be evaluated."""
    return tuple(
        entry
        for entry in entries
        if (
            environment.applies(entry.requirement.marker) if entry.locked is None else environment.chooses(entry.locked)
        )
    )
