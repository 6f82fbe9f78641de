"""A rollout as a collector is told of it: one JSON document, sent again whenever something has changed.

Alike changes and alike packages of virtualenvs are written once, so that the document of many virtualenvs stays small.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import Any, TypeVar

from envfab.util.json_fields import Fields
from envfab.util.times import parse_time

FORMAT = 1
# as `deployment.result.new_rollout_id` makes them
ROLLOUT = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
# what a rollout is, and the status of a virtualenv that was not deployed to yet, or of which that is not known
UNDER_WAY, ENDED, FAILED, GIVEN_UP = "under way", "ended", "failed", "given up"
STATES = frozenset({UNDER_WAY, ENDED, FAILED, GIVEN_UP})
PLANNED, BEGUN, NOT_KNOWN = "planned", "begun", "not known"
STATUSES = frozenset(
    {PLANNED, BEGUN, NOT_KNOWN, "current", "deployed", "skipped", "blocked", "locked", "unreachable", "missing",
     "failed", "rolled-back"}
)  # fmt: skip
ACTIONS = frozenset({"install", "upgrade", "downgrade", "reinstall", "remove"})
MAX_BODY = 32_000_000  # bytes of a document
MAX_VIRTUALENVS = 20_000
MAX_SETS = 20_000
MAX_ENTRIES = 5_000  # changes or packages of a virtualenv
MAX_LINE = 1_000  # characters
MAX_NAME = 600  # bytes of a host's or package's name: an index of PostgreSQL holds entries of 2,700
MAX_NUMBER = 2**53 - 1  # what every reader of JSON, and every database, can hold
MAX_MESSAGE = 4_000
# seconds after which a rollout that is under way says so once more, though nothing has changed
SAID_AGAIN_AFTER = 30
# times that pages can show in any zone
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=timezone.utc), datetime(9998, 12, 31, tzinfo=timezone.utc)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package that is installed, changed or removed; a version of None stands for "not there"."""

    action: str
    name: str
    installed: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class DriftFound:
    """How much of what was deployed before was changed by hand, and since when (ISO 8601)."""

    packages: int
    files: int
    since: str | None


@dataclass(frozen=True, slots=True)
class RolloutVirtualenv:
    """A virtualenv of a rollout.

    `changes` are what is planned, and once it was deployed to what was changed. `packages` are the versions that it has
    as far as the rollout knows, by name; None stands for "not known", as it does for `digest` and `drift`. `migrated`
    are the migrations that were applied. `message` says what is wrong, empty if nothing is.
    """

    owner: str
    host: str
    path: str
    status: str
    deployment: str | None = None
    changes: tuple[PackageChange, ...] = ()
    packages: tuple[tuple[str, str], ...] | None = None
    interpreter: str | None = None
    digest: str | None = None
    drift: DriftFound | None = None
    migrated: tuple[str, ...] = ()
    message: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RolloutDocument:
    """A rollout at a moment. `number` counts the documents of a rollout; times are ISO 8601, with their offset.

    `state` is one of `STATES`. `log` is the folder of its log on the machine that it was begun on. `out_of_service` are
    the hosts that may still be that at its end.
    """

    rollout: str
    number: int
    state: str
    task: str
    who: str
    origin: str
    command: str
    version: str
    began: str
    ended: str | None = None
    slice: str | None = None
    log: str | None = None
    approved_by: tuple[str, ...] = ()
    out_of_service: tuple[str, ...] = ()
    virtualenvs: tuple[RolloutVirtualenv, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Convert to a JSON object."""
        changes: dict[tuple[PackageChange, ...], int] = {}
        packages: dict[tuple[tuple[str, str], ...], int] = {}
        virtualenvs = [_virtualenv_json(one, changes, packages) for one in self.virtualenvs]
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "virtualenvs"}
        return {
            "format": FORMAT,
            **{name: list(value) if isinstance(value, tuple) else value for name, value in own.items()},
            "change_sets": [[asdict(change) for change in one] for one in changes],
            "package_sets": [dict(one) for one in packages],
            "virtualenvs": virtualenvs,
        }


def _virtualenv_json(
    one: RolloutVirtualenv,
    changes: dict[tuple[PackageChange, ...], int],
    packages: dict[tuple[tuple[str, str], ...], int],
) -> dict[str, Any]:
    return {
        "owner": one.owner,
        "host": one.host,
        "path": one.path,
        "status": one.status,
        "deployment": one.deployment,
        "changes": changes.setdefault(one.changes, len(changes)) if one.changes else None,
        "packages": packages.setdefault(one.packages, len(packages)) if one.packages is not None else None,
        "interpreter": one.interpreter,
        "digest": one.digest,
        "drift": asdict(one.drift) if one.drift is not None else None,
        "migrated": list(one.migrated),
        "message": one.message,
        "seconds": one.seconds,
    }


def rollout_from_json(value: object) -> RolloutDocument:
    """Read a document that others wrote. Raises `ValueError`, in words that name what is wrong."""
    said = Fields.of(value, "the document")
    if (number := said.number("format")) != FORMAT:
        raise ValueError(f"'format' is {number}; {FORMAT} is known here")
    changes = [_change_set(one) for one in said.items("change_sets", MAX_SETS)]
    packages = [_package_set(one) for one in said.items("package_sets", MAX_SETS)]
    ended = said.text_or_none("ended")
    virtualenvs = tuple(_virtualenv(one, changes, packages) for one in said.objects("virtualenvs", MAX_VIRTUALENVS))
    _check_places(virtualenvs)
    return RolloutDocument(
        rollout=_matching(said.text("rollout"), ROLLOUT, "'rollout' must be such as 20261120-214900-9f3a"),
        number=_number(said, "number"),
        state=_one_of(said, "state", STATES),
        task=said.line("task", MAX_LINE),
        who=said.line("who", MAX_LINE),
        origin=said.line("origin", MAX_LINE),
        command=said.line("command", MAX_MESSAGE),
        version=said.line("version", MAX_LINE),
        began=_time(said.text("began"), "began"),
        ended=_time(ended, "ended") if ended is not None else None,
        slice=said.line_or_none("slice", MAX_LINE),
        log=said.line_or_none("log", MAX_MESSAGE),
        approved_by=said.lines("approved_by", MAX_ENTRIES, MAX_LINE),
        out_of_service=said.lines("out_of_service", MAX_VIRTUALENVS, MAX_LINE),
        virtualenvs=virtualenvs,
    )


def _virtualenv(
    fields: Fields,
    changes: Sequence[tuple[PackageChange, ...]],
    packages: Sequence[tuple[tuple[str, str], ...]],
) -> RolloutVirtualenv:
    drift = fields.object_or_none("drift")
    digest = fields.text_or_none("digest")
    return RolloutVirtualenv(
        owner=fields.line("owner", MAX_LINE),
        host=_name(fields, "host"),
        path=fields.line("path", MAX_MESSAGE),
        status=_one_of(fields, "status", STATUSES),
        deployment=fields.line_or_none("deployment", MAX_LINE),
        changes=_of_set(fields, "changes", changes, ()),
        packages=_of_set(fields, "packages", packages, None),
        interpreter=fields.line_or_none("interpreter", MAX_LINE),
        digest=_matching(digest, DIGEST, "'digest' must be a SHA-256 in hex") if digest is not None else None,
        drift=_drift(drift) if drift is not None else None,
        migrated=fields.lines("migrated", MAX_ENTRIES, MAX_LINE),
        message=fields.line("message", MAX_MESSAGE),
        seconds=_seconds(fields.value("seconds")),
    )


def _change_set(value: object) -> tuple[PackageChange, ...]:
    entries = Fields({"changes": value}).objects("changes", MAX_ENTRIES)
    return tuple(
        PackageChange(
            _one_of(one, "action", ACTIONS),
            _name(one, "name"),
            one.line_or_none("installed", MAX_LINE),
            one.line_or_none("version", MAX_LINE),
        )
        for one in entries
    )


def _package_set(value: object) -> tuple[tuple[str, str], ...]:
    fields = Fields.of(value, "an entry of 'package_sets'")
    if len(fields.values) > MAX_ENTRIES:
        raise ValueError(f"an entry of 'package_sets' has {len(fields.values)} packages, and may have {MAX_ENTRIES}")
    names = Fields({"names": list(fields.values)}).lines("names", MAX_ENTRIES, MAX_LINE)
    versions = Fields({"versions": list(fields.values.values())}).lines("versions", MAX_ENTRIES, MAX_LINE)
    return tuple(sorted(zip(names, versions, strict=True)))


def _drift(fields: Fields) -> DriftFound:
    since = fields.text_or_none("since")
    return DriftFound(
        _number(fields, "packages"), _number(fields, "files"), _time(since, "since") if since is not None else None
    )


def _check_places(virtualenvs: Sequence[RolloutVirtualenv]) -> None:
    places = Counter((one.path, one.owner, one.host) for one in virtualenvs)
    for (path, owner, host), many in places.items():
        if many > 1:
            raise ValueError(f"{many} entries of 'virtualenvs' are {path} of {owner} on {host}")


def _name(fields: Fields, name: str) -> str:
    text = fields.line(name, MAX_LINE)
    if not text:
        raise ValueError(f"{name!r} is empty")
    if (size := len(text.encode())) > MAX_NAME:
        raise ValueError(f"{name!r} has {size} bytes, and may have {MAX_NAME}")
    return text


def _number(fields: Fields, name: str) -> int:
    number = fields.number(name)
    if number > MAX_NUMBER:
        raise ValueError(f"{name!r} must be at most {MAX_NUMBER}")
    return number


def _of_set(fields: Fields, name: str, sets: Sequence[T], without: Any) -> Any:
    number = fields.number_or_none(name)
    if number is None:
        return without
    if number >= len(sets):
        raise ValueError(f"{name!r} is {number}, and there are {len(sets)} sets")
    return sets[number]


def _one_of(fields: Fields, name: str, known: Collection[str]) -> str:
    value = fields.text(name, MAX_LINE)
    if value not in known:
        raise ValueError(f"{name!r} must be one of {', '.join(sorted(known))}")
    return value


def _matching(text: str, pattern: re.Pattern[str], problem: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(problem)
    return text


def sound_time(text: str) -> datetime | None:
    """Return the time that a text is by ISO 8601, with its offset, from 1970 to 9998; None for any other text."""
    try:
        moment = parse_time(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None and _FIRST <= moment <= _LAST else None


def _time(text: str, name: str) -> str:
    if sound_time(text) is None:
        raise ValueError(
            f"{name!r} must be a time with its offset, from 1970 to 9998, such as 2026-11-20T21:52:12+00:00"
        )
    return text


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise ValueError("'seconds' must be a number from 0 up, or null")
    return float(value)
