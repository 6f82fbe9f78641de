"""A plan: the exact actions that bring one virtualenv to its requirements, and its JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envfab.errors import FormatError, UsageError, WheelError
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

    def __post_init__(self) -> None:
        if self.only and self.prune:
            raise UsageError("--only and --prune exclude each other", hint="deploy first, then prune")


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
    # what people should know of the virtualenv's past: an interruption, a rollback
    notes: tuple[str, ...] = ()


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as `plan --json` has it; `from_json` reads it back."""
    return {
        "target": str(plan.target),
        "host": plan.target.host,
        "user": plan.target.owner,
        "path": plan.target.path,
        "python": plan.python,
        "status": plan.status.value,
        "actions": [_action_to_json(action) for action in plan.actions],
        "ahead": [
            {"name": ahead.shown_as, "installed": ahead.installed, "available": ahead.available} for ahead in plan.ahead
        ],
        "missing": [
            {"requirement": missing.requirement, "required_by": missing.required_by, "why": missing.why}
            for missing in plan.missing
        ],
        "conflicts": list(plan.conflicts),
        "warnings": list(plan.warnings),
        "fingerprint": plan.fingerprint,
        "error": plan.error,
        "notes": list(plan.notes),
    }


def from_json(document: Mapping[str, Any]) -> Plan:
    """The plan that `to_json` wrote; raises `FormatError` for anything else. Unknown keys are passed over."""
    try:
        return Plan(
            Target(document["user"], document["host"], document["path"]),
            Status(document["status"]),
            document["python"],
            tuple(_action_from_json(action) for action in document["actions"]),
            tuple(Ahead(ahead["name"], ahead["installed"], ahead["available"]) for ahead in document["ahead"]),
            tuple(
                Missing(missing["requirement"], missing["required_by"], missing["why"])
                for missing in document["missing"]
            ),
            tuple(document.get("conflicts", ())),
            tuple(document.get("warnings", ())),
            document.get("fingerprint"),
            document["error"],
            tuple(document.get("notes", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError, WheelError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else error
        raise FormatError(f"this is no plan: {problem}", hint="make a new one with fab plan --json") from None


def plan_key(plan: Plan) -> str:
    """A digest of all that is shown of a plan but whose it is: virtualenvs with the same key are shown once."""
    of_the_target = ("target", "host", "user", "path", "fingerprint")
    shown = {key: value for key, value in to_json(plan).items() if key not in of_the_target}
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def _action_to_json(action: Action) -> dict[str, Any]:
    return {
        "action": action.kind.value,
        "name": action.shown_as,
        "installed": action.installed,
        "version": None if action.version is None else str(action.version),
        "wheel": action.wheel.filename if action.wheel else None,
        "sha256": action.wheel.sha256 if action.wheel else None,
        "reason": action.reason,
        "required_by": list(action.required_by),
    }


def _action_from_json(action: Mapping[str, Any]) -> Action:
    shown_as = action["name"]
    wheel = None
    if action["wheel"] is not None:
        wheel = Wheel.from_filename(action["wheel"], action["sha256"], shown_as)
    return Action(
        Kind(action["action"]),
        canonicalize_name(shown_as),
        shown_as,
        action["installed"],
        wheel,
        action["reason"],
        tuple(action.get("required_by", ())),
    )
