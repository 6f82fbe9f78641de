"""Plans as JSON objects, as `fab plan --json` and saved plans have them, and digests of plans."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from packaging.utils import InvalidName, NormalizedName, canonicalize_name

from envfab.config.target import Target
from envfab.errors import FormatError, WheelError
from envfab.models.wheel import Wheel
from envfab.planning.plan import Action, ActionKind, Ahead, Missing, Newer, Overlap, Plan, Status
from envfab.util.json_fields import Fields
from envfab.util.versions import shortened

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 1_000_000  # characters of a text of several lines
_MOST_FILES = 100_000
# what plans of earlier versions, and of programs, may leave out
_LISTS = ("actions", "ahead", "missing", "conflicts", "warnings", "notes", "newer", "upgrade", "overlaps")
_PLAN: Mapping[str, Any] = {
    "python": None,
    "fingerprint": None,
    "error": None,
    "force": False,
    **{name: [] for name in _LISTS},
}
_ACTION: Mapping[str, Any] = {"installed": None, "wheel": None, "sha256": None, "required_by": []}
_AHEAD: Mapping[str, Any] = {"available": None}


def to_json(plan: Plan) -> dict[str, Any]:
    """Convert a plan to the JSON object of `fab plan --json`, which `from_json` reads back."""
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
        "newer": [
            {"name": newer.shown_as, "installed": newer.installed, "available": newer.available} for newer in plan.newer
        ],
        "upgrade": list(plan.upgrade),
        "force": plan.force,
        "generation": plan.generation,
        "overlaps": [
            {"loser": overlap.loser, "winner": overlap.winner, "files": list(overlap.files)}
            for overlap in plan.overlaps
        ],
    }


def from_json(document: object) -> Plan:
    """Read a plan that `to_json` wrote; raises `FormatError` for anything else. Unknown keys are ignored."""
    try:
        fields = _fields(Fields.of(document, "a plan"), _PLAN)
        return Plan(
            Target(fields.text("user"), fields.text("host"), fields.text("path")),
            Status(fields.text("status")),
            fields.text_or_none("python"),
            tuple(_action_from_json(_fields(action, _ACTION)) for action in fields.objects("actions")),
            tuple(
                Ahead(one.text("name"), one.text("installed"), _fields(one, _AHEAD).text_or_none("available"))
                for one in fields.objects("ahead")
            ),
            tuple(
                Missing(one.text("requirement"), one.text("required_by"), one.text("why", _LONGEST))
                for one in fields.objects("missing")
            ),
            fields.texts("conflicts", longest=_LONGEST),
            fields.texts("warnings", longest=_LONGEST),
            fields.text_or_none("fingerprint"),
            fields.text_or_none("error", _LONGEST),
            fields.texts("notes", longest=_LONGEST),
            tuple(
                Newer(one.text("name"), one.text("installed"), one.text("available")) for one in fields.objects("newer")
            ),
            fields.texts("upgrade"),
            fields.truth("force"),
            overlaps=tuple(
                Overlap(one.text("loser"), one.text("winner"), one.texts("files", _MOST_FILES))
                for one in fields.objects("overlaps")
            ),
        )
    except (ValueError, WheelError) as error:
        what = str(error).partition("\n")[0]
        raise FormatError(
            f"not a valid plan: {shortened(what, 200)}", hint="make a new one with fab plan --json"
        ) from None


def _fields(given: Fields, usual: Mapping[str, Any]) -> Fields:
    """The fields of an object; those that it lacks have their usual values."""
    return Fields({**usual, **given.values})


def anywhere(message: str, target: Target) -> str:
    """Return a message about a target without its names, so that it is the same for others in the same situation."""
    for name, word in ((target.path, "PATH"), (target.host, "HOST")):
        message = message if not name else re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", word, message)
    return message


def plan_key(plan: Plan) -> str:
    """Return a digest of everything in a plan except its virtualenv; plans with the same key are shown together."""
    of_the_target = ("target", "host", "user", "path", "fingerprint")
    shown = {key: value for key, value in to_json(plan).items() if key not in of_the_target}
    shown["error"] = anywhere(plan.error or "", plan.target)
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def plan_digest(plan: Plan) -> str:
    """Return a digest of a whole plan: of its virtualenv, its fingerprint, and what is to be done there."""
    return hashlib.sha256(json.dumps(to_json(plan), sort_keys=True).encode()).hexdigest()


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


def _action_from_json(action: Fields) -> Action:
    shown_as = action.text("name")
    name = _canonical(shown_as)
    kind = ActionKind(action.text("action"))
    filename, installed = action.text_or_none("wheel"), action.text_or_none("installed")
    wheel = Wheel.from_filename(filename, action.text_or_none("sha256"), shown_as) if filename is not None else None
    if (wheel is None) != (kind is ActionKind.REMOVE):
        raise ValueError(f"{shown_as}: every action but remove must have a wheel, and this one is {kind.value}")
    if wheel is not None and (wheel.name != name or str(wheel.version) != action.text("version")):
        raise ValueError(f"{shown_as}: {wheel.filename} is the wheel of another release")
    if wheel is not None and wheel.sha256 is not None and not _SHA256.fullmatch(wheel.sha256):
        raise ValueError(f"{shown_as}: 'sha256' must be 64 hex digits, not {shortened(wheel.sha256)!r}")
    return Action(kind, name, shown_as, installed, wheel, action.text("reason", _LONGEST), action.texts("required_by"))


def _canonical(shown_as: str) -> NormalizedName:
    """The canonical name; raises `ValueError` if `shown_as` is not a project name, but for example an option."""
    try:
        return canonicalize_name(shown_as, validate=True)
    except InvalidName:
        raise ValueError(f"'name' must be a project name, not {shortened(shown_as)!r}") from None
