"""Drift as a registration tells it: how much differs, of which packages, since when; no path leaves the host.

{"since": "2026-11-27T02:22:00+00:00" or null, "package_count": 1, "file_count": 3,
 "packages": [{"n": "requests", "before": "2.32.3", "after": "2.31.0"}],   the first; null: not installed
 "files": [{"n": "shop", "count": 2}, {"n": null, "count": 1}]}            beside those, by package; null: of none
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from envfab.errors import RegistrationError
from envfab.models.drift import Drift
from envfab.util.json_fields import Fields
from envfab.util.times import in_utc, parse_time
from envfab.util.untrusted import is_plain

MOST = 20  # packages that are named, and packages whose files are counted
MAX_COUNT = 1_000_000
MAX_TEXT = 200  # characters
END_OF_TIME = 253_402_300_800  # seconds from 1970 to the year 10000, which no date of Python reaches


@dataclass(frozen=True, slots=True)
class ChangedPackage:
    """A package that was installed, removed or replaced by hand; None where it is not installed."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ChangedFiles:
    """How many files of a package differ; None stands for files of no package."""

    owner: str | None
    count: int


@dataclass(frozen=True, slots=True)
class RegisteredDrift:
    """What differs from what was deployed: `package_count` packages, of which `packages` names the first.

    `file_count` files differ beside those of these packages. `since` is ISO 8601; None where nothing differs.
    """

    since: str | None = None
    package_count: int = 0
    file_count: int = 0
    packages: tuple[ChangedPackage, ...] = ()
    files: tuple[ChangedFiles, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.package_count or self.file_count)


def registered_drift(drift: Drift) -> RegisteredDrift:
    """Return what a registration tells of drift; texts that a host made too long are cut."""
    owners = Counter(_cut(file.owner) for file in drift.files)
    return RegisteredDrift(
        drift.since if drift.since is not None and _is_time(drift.since) else None,
        len(drift.packages),
        min(drift.others, MAX_COUNT),
        tuple(ChangedPackage(one.name[:MAX_TEXT], _cut(one.before), _cut(one.after)) for one in drift.packages[:MOST]),
        tuple(ChangedFiles(owner, number) for owner, number in owners.most_common(MOST)),
    )


def drift_to_json(drift: RegisteredDrift) -> dict[str, Any]:
    """Convert to the JSON object of a registration."""
    return {
        "since": drift.since,
        "package_count": drift.package_count,
        "file_count": drift.file_count,
        "packages": [{"n": one.name, "before": one.before, "after": one.after} for one in drift.packages],
        "files": [{"n": one.owner, "count": one.count} for one in drift.files],
    }


def parse_drift(value: object) -> RegisteredDrift:
    """Read the JSON object of a registration; raises `RegistrationError`."""
    try:
        fields = Fields.of(value)
        return RegisteredDrift(
            _time(fields),
            _count(fields, "package_count"),
            _count(fields, "file_count"),
            tuple(
                ChangedPackage(_text(one, "n"), _text_or_none(one, "before"), _text_or_none(one, "after"))
                for one in fields.objects("packages", MOST)
            ),
            tuple(ChangedFiles(_text_or_none(one, "n"), _count(one, "count")) for one in fields.objects("files", MOST)),
        )
    except ValueError as error:
        raise RegistrationError(f"drift: {error}") from None


def _time(fields: Fields) -> str | None:
    text = _text_or_none(fields, "since")
    if text is None:
        return None
    if not _is_time(text):
        raise ValueError(f"'since' must be a time as ISO 8601 has it, not {text!r}")
    return text


def _is_time(text: str) -> bool:
    try:
        return 0 <= in_utc(parse_time(text)).timestamp() < END_OF_TIME
    except (ValueError, OverflowError):
        return False


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MAX_TEXT]


def _count(fields: Fields, name: str) -> int:
    number = fields.number(name)
    if number > MAX_COUNT:
        raise ValueError(f"{name!r} must be at most {MAX_COUNT}, not {number}")
    return number


def _text_or_none(fields: Fields, name: str) -> str | None:
    return None if fields.value(name) is None else _text(fields, name)


def _text(fields: Fields, name: str) -> str:
    text = fields.text(name, MAX_TEXT)
    if not is_plain(text):
        raise ValueError(f"{name!r} has control characters")
    return text
