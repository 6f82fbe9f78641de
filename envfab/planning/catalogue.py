"""Where planning finds wheels: the wheelhouse, an index, or a test's dictionary."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from packaging.utils import NormalizedName

from envfab.models.wheel import Release, Wheel, WheelMetadata


class Catalogue(Protocol):
    """A supply of wheels. Both reads may be slow the first time and must be quick afterwards."""

    def projects(self) -> Collection[NormalizedName]:
        """The names that have at least one wheel; planning suggests from them where a name is unknown."""
        ...

    def releases(self, name: NormalizedName) -> Sequence[Release]:
        """Every logged wheel of a project, in no particular order; empty where there is none."""
        ...

    def metadata(self, wheel: Wheel) -> WheelMetadata:
        """What the wheel's METADATA says; raises `WheelError` where the file cannot be read."""
        ...

    def unlogged(self, name: NormalizedName) -> Sequence[tuple[Wheel, str]]:
        """Wheels of a project that are there and cannot be used before they are logged, each with its path."""
        ...
