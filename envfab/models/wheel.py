"""A wheel, as its file name describes it, and what its METADATA says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envfab.errors import WheelError
from envfab.models.legacy_metadata import read_requirement, read_requires_python
from envfab.util.versions import parse_version, shortened

# A file system's limit, and more tags than any wheel has: 40 is the most that was seen.
MOST_CHARACTERS = 255
MOST_TAGS = 1_000
MOST_REQUIREMENTS = 10_000


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
        """Parse a wheel's file name (PEP 427); raises `WheelError`."""
        try:
            # a build tag may hold anything, a path too
            if "/" in filename or not filename.isprintable():
                raise InvalidWheelFilename(f"Invalid wheel filename (no plain name): {shortened(filename)!a}")
            _refuse_long(filename)
            name, version, build, tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, ValueError) as error:
            raise WheelError(
                shortened(str(error), 2 * MOST_CHARACTERS),
                where=ascii(shortened(filename))[1:-1]
                if not filename.isprintable()
                else shortened(filename, MOST_CHARACTERS),
                hint="wheels are named NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
            ) from None
        return cls(name, version, build, tags, filename, sha256, shown_as or filename.partition("-")[0])

    @property
    def identity(self) -> tuple[NormalizedName, Version, BuildTag, frozenset[Tag]]:
        """What identifies the wheel, independent of how its file name is spelled."""
        return self.name, self.version, self.build, self.tags


def _refuse_long(filename: str) -> None:
    """Raise `InvalidWheelFilename` before packaging reads numbers and tags without end."""
    if len(filename) > MOST_CHARACTERS:
        raise InvalidWheelFilename(f"Invalid wheel filename (more than {MOST_CHARACTERS} characters)")
    parts = filename.removesuffix(".whl").split("-")
    try:
        parse_version(parts[1] if len(parts) > 1 else "")
    except InvalidVersion:
        raise InvalidWheelFilename(f"Invalid wheel filename (invalid version): {filename!r}") from None
    if count_tags(parts[-3:]) > MOST_TAGS:
        raise InvalidWheelFilename(f"Invalid wheel filename (more than {MOST_TAGS:,} tags)")


def count_tags(parts: Sequence[str]) -> int:
    """Count the tags of compressed sets (`py2.py3`, `none`, `any`; PEP 425) without making them."""
    return math.prod(part.count(".") + 1 for part in parts)


@dataclass(frozen=True, slots=True)
class WheelMetadata:
    """What planning reads of a wheel's METADATA (PEP 566 and later): names, `Requires-Dist`, `Requires-Python`.

    `notes` say what does not follow the standards, and how it is read; `strict` tells whether all `Requires-Dist`
    follow PEP 508.
    """

    name: str
    version: Version
    requires: tuple[Requirement, ...]
    requires_python: SpecifierSet
    extras: frozenset[NormalizedName]
    notes: tuple[str, ...] = ()
    strict: bool = True

    @classmethod
    def build(
        cls, name: str, version: str, requires: Sequence[str], requires_python: str | None, extras: Sequence[str]
    ) -> WheelMetadata:
        """Make it from the fields' texts; raises packaging's `InvalidRequirement` or `InvalidVersion`."""
        if len(requires) > MOST_REQUIREMENTS:
            raise InvalidRequirement(f"more than {MOST_REQUIREMENTS:,} Requires-Dist")
        found = [read_requirement(text) for text in requires]
        python, note = read_requires_python(requires_python or "")
        return cls(
            name,
            parse_version(version),
            tuple(requirement for requirement, _note in found),
            python,
            frozenset(canonicalize_name(extra) for extra in extras),
            tuple(filter(None, (*(note for _requirement, note in found), note))),
            not any(note for _requirement, note in found),
        )


@dataclass(frozen=True, slots=True)
class Release:
    """A wheel in the wheelhouse: when it was added, and why it was withdrawn where it was (PEP 592)."""

    wheel: Wheel
    added: datetime | None
    yanked_reason: str | None = None

    @property
    def yanked(self) -> bool:
        """Whether new plans use it only where == pins it."""
        return self.yanked_reason is not None
