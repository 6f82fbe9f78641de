"""Requirements files: what a virtualenv must satisfy."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name


@dataclass(frozen=True, slots=True)
class Entry:
    """One requirement, the SHA-256 digests that are allowed for it, and where it stands (`file:line`)."""

    requirement: Requirement
    hashes: frozenset[str]
    origin: str

    @property
    def name(self) -> NormalizedName:
        """The canonical name of the project that is required."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What must be installed, and what constrains it without requiring it (`-c`)."""

    entries: tuple[Entry, ...]
    constraints: tuple[Entry, ...] = ()
