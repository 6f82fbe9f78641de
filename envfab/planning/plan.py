"""A plan: the exact actions that bring one virtualenv to its requirements, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from packaging.utils import NormalizedName
from packaging.version import Version

from envfab.facts.wheel import Wheel
from envfab.fleet import Target


class Status(Enum):
    """What a plan says of its virtualenv."""

    CURRENT = "current"
    CHANGES = "changes"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"


class Kind(Enum):
    """What an action does."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    REINSTALL = "reinstall"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Action:
    """One distribution to install, change or remove. `wheel` is None only for a removal.

    `reason` is for people: where the requirement stands (`requirements/shop.txt:3`), or `wanted by Django`.
    """

    kind: Kind
    name: NormalizedName
    shown_as: str
    installed: str | None
    wheel: Wheel | None
    reason: str
    required_by: tuple[str, ...] = ()

    @property
    def version(self) -> Version | None:
        """The version there will be; None for a removal."""
        return self.wheel.version if self.wheel else None


@dataclass(frozen=True, slots=True)
class Ahead:
    """A distribution that is installed in a newer version than any wheel of the house that fits."""

    shown_as: str
    installed: str
    available: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that the house cannot meet, who has it, and why no wheel does."""

    requirement: str
    required_by: str
    why: str


@dataclass(frozen=True, slots=True)
class Options:
    """What a plan may do beyond the requirements."""

    only: frozenset[NormalizedName] = frozenset()
    reinstall: frozenset[NormalizedName] = frozenset()
    prune: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What deploying would do to one virtualenv; `status` follows from the rest.

    `missing` and `conflicts` (each a few lines of plain text) block it; `warnings` do not.
    """

    target: Target
    status: Status
    python: str | None = None
    actions: tuple[Action, ...] = ()
    ahead: tuple[Ahead, ...] = ()
    missing: tuple[Missing, ...] = ()
    conflicts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fingerprint: str | None = None
    error: str | None = None
