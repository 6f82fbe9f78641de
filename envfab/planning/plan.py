"""A plan: the exact actions that bring one virtualenv to its requirements. Its JSON is in `plan_json`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.config.target import Target
from envfab.errors import (
    Disconnected,
    EnvfabError,
    Unreachable,
    Unusable,
    UsageError,
    VirtualenvMissing,
)
from envfab.models.wheel import Wheel


class Status(Enum):
    """The status of a virtualenv in a plan."""

    CURRENT = "current"
    CHANGES = "changes"
    BLOCKED = "blocked"
    UNREACHABLE = "unreachable"
    MISSING = "missing"


# what needs attention before a deployment can do anything: exit status 1
UNPLANNABLE = frozenset({Status.BLOCKED, Status.UNREACHABLE, Status.MISSING})


def status_without(error: EnvfabError | None) -> Status:
    """Return the status of a virtualenv that could not be probed because of `error`.

    It is unreachable only if its host could not be reached, or the connection was lost.
    """
    if isinstance(error, VirtualenvMissing):
        return Status.MISSING
    if isinstance(error, Unreachable | Disconnected) and not isinstance(error, Unusable):
        return Status.UNREACHABLE
    return Status.BLOCKED


class ActionKind(Enum):
    """The kinds of actions; the values are in plans' JSON."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    REINSTALL = "reinstall"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Action:
    """One distribution to install, change or remove. `wheel` is None for a removal, and in a rollback by a switch.

    `reason` is for people: the requirement's file and line (`requirements/shop.txt:3`), or `required by Django`.
    """

    kind: ActionKind
    name: NormalizedName
    shown_as: str
    installed: str | None
    wheel: Wheel | None
    reason: str
    required_by: tuple[str, ...] = ()
    # the version that comes back by a switch to a generation, without a wheel
    restored: Version | None = None

    @property
    def version(self) -> Version | None:
        """The version after the action; None for a removal."""
        return self.wheel.version if self.wheel else self.restored


@dataclass(frozen=True, slots=True)
class Ahead:
    """A distribution whose installed version is newer than any wheel that fits; `available` is the newest of those."""

    shown_as: str
    installed: str
    available: str | None


@dataclass(frozen=True, slots=True)
class Newer:
    """A dependency that stays as installed, because no newer one was requested; `available` is the newest wheel's."""

    shown_as: str
    installed: str
    available: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """Files, by their paths in the wheels, that two distributions have with different content; the winner's stay."""

    loser: str
    winner: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that the wheelhouse cannot meet, what requires it, and why no wheel meets it."""

    requirement: str
    required_by: str
    why: str


# in place of names: every project that the requirements lead to
EVERYTHING = canonicalize_name("*")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a plan; `upgrade` may contain `EVERYTHING`.

    With `drift`, virtualenvs are compared with what was deployed also where nothing is to be changed.

    Raises `UsageError` for options that exclude each other.
    """

    only: frozenset[NormalizedName] = frozenset()
    reinstall: frozenset[NormalizedName] = frozenset()
    prune: bool = False
    force: bool = False
    upgrade: frozenset[NormalizedName] = frozenset()
    drift: bool = False

    def __post_init__(self) -> None:
        if self.only and self.prune:
            raise UsageError("--only and --prune exclude each other", hint="deploy first, then prune")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do to one virtualenv; `status` follows from the other fields.

    `missing` and `conflicts` (each a few lines of plain text) block the plan; `warnings` do not.
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
    # lines about earlier deployments: interrupted, failed, rolled back
    notes: tuple[str, ...] = ()
    newer: tuple[Newer, ...] = ()
    # the canonical names given to `--upgrade`, or `EVERYTHING`
    upgrade: tuple[str, ...] = ()
    # whether the plan may break packages installed beyond the requirements
    force: bool = False
    # the generation to switch to, for a rollback that needs nothing else
    generation: int | None = None
    # each is told in a warning
    overlaps: tuple[Overlap, ...] = ()
