"""The protocol of wheel catalogues, in which planning finds wheels: the wheelhouse, a package index, a test's own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from packaging.utils import NormalizedName

from envfab.models.wheel import Release, Wheel, WheelMetadata


class Catalogue(Protocol):
    """A supply of wheels. Its methods may be slow the first time and must be fast after that."""

    def projects(self) -> Collection[NormalizedName]:
        """Return the projects that have at least one wheel; they are suggested for an unknown name."""
        ...

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Return every logged wheel of a project, in any order; empty if there is none."""
        ...

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """Read the wheel's METADATA; raises `WheelError` if the wheel cannot be read."""
        ...

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """Return (wheel, path) for wheels that exist but are not logged; they cannot be used before that."""
        ...
