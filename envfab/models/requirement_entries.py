"""Requirements as they were read: entries, with where they stand, and what lock files say beside them."""

from __future__ import annotations

from dataclasses import dataclass, field

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name


@dataclass(frozen=True, slots=True)
class LockFile:
    """What a lock file (PEP 751) says of the targets that it is for, and which of its extras and groups are chosen.

    `choices` names, for people, the extras and groups there are: `group dev`.
    """

    name: str
    requires_python: SpecifierSet | None = None
    environments: tuple[Marker, ...] | None = None
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """What a lock file says of one package beside its version and hashes.

    `problem` is why it cannot be deployed (it is locked to a source archive, say); that counts only where the package
    applies to a target.
    """

    lock: LockFile
    marker: Marker | None = None
    requires_python: SpecifierSet | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One requirement, the SHA-256 digests that are allowed for it, and where it stands (`file:line`).

    `locked` is set where a lock file has it; its marker is there then, and not in `requirement`.
    """

    requirement: Requirement
    hashes: frozenset[str]
    origin: str
    locked: LockedPackage | None = None

    @property
    def name(self) -> NormalizedName:
        """The canonical name of the project that is required."""
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What must be installed, and what constrains it without requiring it (`-c`).

    `locks` are the lock files that entries come from. `hashes_required` is where `--require-hashes` stands, empty where
    it does not. `notes` are, for people, the options and tables that were passed over.
    """

    entries: tuple[Entry, ...]
    constraints: tuple[Entry, ...] = ()
    locks: tuple[LockFile, ...] = ()
    hashes_required: str = ""
    notes: tuple[str, ...] = field(default=())

    def __hash__(self) -> int:
        # a plan is looked up by it for every virtualenv, and hashing requirements takes packaging long
        return hash(tuple(entry.origin for entry in (*self.entries, *self.constraints)))
