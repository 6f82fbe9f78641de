"""Markers (PEP 508), evaluated for the target's interpreter and never for the one that runs this program."""

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

# what packaging raises for markers that compare incomparable values; `InvalidVersion` is a `ValueError`
_NONSENSE = (UndefinedComparison, UndefinedEnvironmentName, ValueError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment in which markers and Requires-Python are evaluated: that of one interpreter.

    Raises `EnvfabError` if the interpreter's markers are incomplete: packaging would fill them with those of the
    running interpreter.
    """

    interpreter: Interpreter

    def __post_init__(self) -> None:
        absent = sorted(MARKER_NAMES - self.interpreter.markers.keys())
        if absent:
            raise EnvfabError(
                f"the marker environment lacks {', '.join(absent)}", where=self.interpreter.title, hint="probe it again"
            )

    def applies(self, marker: Marker | None, extras: Iterable[str] = ()) -> bool:
        """Return whether `marker` is true for any of `extras`; false if it cannot be evaluated."""
        if marker is None:
            return True
        try:
            return any(
                marker.evaluate({**self.interpreter.markers, "extra": extra}) for extra in (tuple(extras) or ("",))
            )
        except _NONSENSE:
            return False

    def chooses(self, package: LockedPackage) -> bool:
        """Return whether a package of a lock file applies, by its marker and the selected extras and groups.

        Raises `EnvfabError` if the marker cannot be evaluated.
        """
        if package.marker is None:
            return True
        chosen = {"extras": package.lock.extras, "dependency_groups": package.lock.groups}
        try:
            return package.marker.evaluate({**self.interpreter.markers, **chosen}, context="lock_file")
        except _NONSENSE:
            raise EnvfabError(
                f"cannot evaluate the marker {package.marker}", where=package.lock.name, hint="lock again: fab lock"
            ) from None

    def needed(self, requires: Iterable[Requirement], extras: Iterable[NormalizedName] = ()) -> Iterator[Requirement]:
        """Return those of a distribution's `Requires-Dist` that apply with `extras`."""
        wanted = sorted(extras)
        return (requirement for requirement in requires if self.applies(requirement.marker, wanted))

    def supports(self, requires_python: SpecifierSet) -> bool:
        """Return whether `Requires-Python` admits the interpreter; a release candidate of 3.14 counts as 3.14 (pip)."""
        return requires_python.contains(Version(self.interpreter.version.base_version), prereleases=True)


def applicable(entries: Iterable[Entry], environment: Environment) -> tuple[Entry, ...]:
    """Return the entries whose markers are true for the target.

    Raises `EnvfabError` if the marker of a lock file's package cannot be evaluated.
    """
    return tuple(
        entry
        for entry in entries
        if (
            environment.applies(entry.requirement.marker) if entry.locked is None else environment.chooses(entry.locked)
        )
    )
