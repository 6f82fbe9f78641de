"""A wheel, as its file name describes it, and what its METADATA says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from envfab.errors import WheelError


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file (PEP 427 name). `shown_as` is the project's name as published; `sha256` is what the log says."""

    name: NormalizedName
    version: Version
    build: BuildTag
    tags: frozenset[Tag] = field(repr=False)
    filename: str
    sha256: str | None = None
    shown_as: str = ""

    @classmethod
    def from_filename(cls, filename: str, sha256: str | None = None, shown_as: str = "") -> Wheel:
        """The wheel that a file name describes; raises `WheelError` where it describes none."""
        try:
            # a build tag may hold anything, a path too
            if "/" in filename or not filename.isprintable():
                raise InvalidWheelFilename(f"Invalid wheel filename (no plain name): {filename!r}")
            name, version, build, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename as error:
            raise WheelError(
                str(error), where=filename, hint="wheels are named NAME-VERSION-PYTHON-ABI-PLATFORM.whl"
            ) from None
        return cls(name, version, build, tags, filename, sha256, shown_as or filename.partition("-")[0])

    @property
    def identity(self) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
        """What the wheel is, however its file name spells that."""
        return self.name, self.version, self.build, self.tags


@dataclass(frozen=True, slots=True)
class WheelMetadata:
    """What planning reads of a wheel's METADATA (PEP 566 and later): names, `Requires-Dist`, `Requires-Python`."""

    name: str
    version: Version
    requires: tuple[Requirement, ...]
    requires_python: SpecifierSet
    extras: frozenset[NormalizedName]

    @classmethod
    def build(
        cls, name: str, version: str, requires: Sequence[str], requires_python: str | None, extras: Sequence[str]
    ) -> WheelMetadata:
        """From the fields' texts; raises packaging's `InvalidRequirement`, `InvalidSpecifier`, `InvalidVersion`."""
        return cls(
            name,
            Version(version),
            tuple(Requirement(text) for text in requires),
            SpecifierSet(requires_python or ""),
            frozenset(canonicalize_name(extra) for extra in extras),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """A wheel in the house: when it was added, and why it was withdrawn where it was (PEP 592)."""

    wheel: Wheel
    added: datetime | None
    yanked_reason: str | None = None

    @property
    def yanked(self) -> bool:
        """Whether new plans must not choose it, but where a pin names it."""
        return self.yanked_reason is not None
