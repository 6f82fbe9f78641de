"""The policy of a server: which keys it takes, with which values, and from which version of the program.

It is an allow-list in JSON (RFC 8259), described in docs/usage-statistics-wire-format.md. Nothing in it is executed: a
value is one of a list, has one of a few `SHAPES`, or is any.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from envfab.usagestats import erasure
from envfab.usagestats.installation import CLASSES
from envfab.usagestats.report import Entry, MalformedReport, Report, format_report, parse_report
from envfab.usagestats.weekly_totals import parse_count

FORMAT = 1
MAX_POLICY = 64 * 1024  # bytes
MAX_KEYS = 500
_DAY = 24 * 3600 * 1000  # milliseconds
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
SHAPES: Mapping[str, re.Pattern[str]] = {
    "version": re.compile(r"v?[0-9][0-9A-Za-z.+!_-]{0,63}"),
    "integer": re.compile(r"-?[0-9]{1,18}"),
    "number": re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"),
    "boolean": re.compile(r"true|false|yes|no|on|off|1|0", re.IGNORECASE),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "day": re.compile(_DATE),
    "installation": re.compile(rf"{_DATE} ({'|'.join(CLASSES)})"),
    # What the flags OPERATING_SYSTEM and PYTHON_VERSION write: no @, no \, no quotes.
    "platform": re.compile(r"[\w .,:;+~#()\[\]/-]{0,300}"),
}
_RELEASE = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,9})")


class PolicyError(ValueError):
    """A text that is not a policy that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """What is taken under a key: one of `values`, a `shape`, or anything; `since` is a version's release numbers.

    `public` is whether aggregates of it may be published.
    """

    values: frozenset[str] | None = None
    shape: str | None = None
    since: tuple[int, ...] = ()
    public: bool = False

    def allows(self, value: str, version: str) -> bool:
        """Whether a program of this version may send this value."""
        if not self.allows_name(version):
            return False
        if self.values is not None:
            return value in self.values
        return self.shape is None or SHAPES[self.shape].fullmatch(value) is not None

    def allows_name(self, version: str) -> bool:
        """Whether a program of this version may send the key."""
        return not self.since or _release(version) >= self.since


@dataclass(frozen=True, slots=True)
class ReportPolicy:
    """The keys that a server takes for `program`; `date` is the day when the policy was written."""

    program: str
    date: str
    keys: Mapping[str, PolicyRule]

    def allows(self, key: str, value: str, version: str) -> bool:
        """Whether an entry may be sent; of a counter's it is the name and the value that count, not the sum."""
        rule = self.keys.get(key)
        if rule is None:
            return False
        counted = parse_count(key, value)
        if counted is None:
            return rule.allows(value, version)
        return rule.allows(counted[1], version) or (not counted[1] and rule.allows_name(version))

    def split(self, report: Report) -> tuple[Report, tuple[Entry, ...]]:
        """The report as it may be sent, and the entries that are held back."""
        version = next((value for key, value in report.entries if key == "version"), "")
        sent: list[Entry] = []
        held: list[Entry] = []
        user = report.user
        if user is not None and not self.allows("user", user, version):
            held.append(("user", user))
            user = None
        for key, value in report.entries:
            if key == erasure.KEY:  # it belongs to the id, and is of no use without it
                (held if user is None else sent).append((key, value))
                continue
            (sent if self.allows(key, value, version) else held).append((key, value))
        return replace(report, user=user, entries=tuple(sent)), tuple(held)


def allowed_bytes(policy: ReportPolicy, data: bytes) -> bytes:
    """What of a report's bytes may be sent; nothing where no entry is left, or it is not a report."""
    try:
        report, held = policy.split(parse_report(data))
    except MalformedReport:
        return b""
    if not held:
        return data
    return format_report(report) if any(key != erasure.KEY for key, _ in report.entries) else b""


def held_entries(policy: ReportPolicy, data: bytes) -> tuple[Entry, ...]:
    """The entries of a report that are held back."""
    try:
        return policy.split(parse_report(data))[1]
    except MalformedReport:
        return ()


def parse_policy(data: bytes, now: int | None) -> ReportPolicy:
    """Read a policy; raises `PolicyError`, also where it is dated ahead of `now` (milliseconds since 1970)."""
    if len(data) > MAX_POLICY:
        raise PolicyError(f"has more than {MAX_POLICY} bytes")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        raise PolicyError("must be JSON") from None
    if not isinstance(told, dict):
        raise PolicyError("must be a JSON object")
    number = told.get("format")
    if type(number) is not int or number < 1:
        raise PolicyError(f"must say its format: {FORMAT}")
    if number > FORMAT:
        raise PolicyError(f"has format {number}; this program reads format {FORMAT}")
    _check_fields(told, {"format", "program", "date", "keys"}, "")
    if not isinstance(told.get("program"), str):
        raise PolicyError("must name its program")
    return ReportPolicy(told["program"], _date(told.get("date"), now), _keys(told.get("keys")))


def _date(told: object, now: int | None) -> str:
    if not isinstance(told, str) or not SHAPES["day"].fullmatch(told):
        raise PolicyError("must have a date YYYY-MM-DD")
    # A day more, for clocks that go wrong and days that begin earlier elsewhere. Dates sort as texts.
    if now is not None and told > time.strftime("%Y-%m-%d", time.gmtime((now + _DAY) // 1000)):
        raise PolicyError(f"has a date in the future, {told}")
    return told


def _keys(told: object) -> dict[str, PolicyRule]:
    if not isinstance(told, dict):
        raise PolicyError("must have its keys in an object")
    if len(told) > MAX_KEYS:
        raise PolicyError(f"has more than {MAX_KEYS} keys")
    return {key: _rule(key, rule) for key, rule in told.items()}


def _rule(key: str, told: Any) -> PolicyRule:
    where = f"has the key {key[:100]!r}, which"
    if not isinstance(told, dict):
        raise PolicyError(f"{where} must have an object")
    _check_fields(told, {"values", "shape", "any", "from_version", "public"}, where)
    if sum(name in told for name in ("values", "shape", "any")) != 1:
        raise PolicyError(f"{where} must have either values, or a shape, or any")
    values, shape, public = told.get("values"), told.get("shape"), told.get("public")
    if "values" in told and not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise PolicyError(f"{where} must have a list of texts as values")
    if "shape" in told and (not isinstance(shape, str) or shape not in SHAPES):
        raise PolicyError(f"{where} must have one of the shapes {', '.join(SHAPES)}")
    if ("any" in told and told["any"] is not True) or public not in (None, True, False):
        raise PolicyError(f"{where} must have true for any, and true or false for public")
    usual = values is not None or shape not in (None, "uuid")
    return PolicyRule(
        None if values is None else frozenset(values), shape, _since(told, where), usual if public is None else public
    )


def _since(told: dict[str, Any], where: str) -> tuple[int, ...]:
    if "from_version" not in told:
        return ()
    version = told["from_version"]
    found = _release(version) if isinstance(version, str) else ()
    if not found:
        raise PolicyError(f"{where} must have a from_version that begins with numbers, such as '1.2'")
    return found


def _check_fields(told: dict[str, Any], known: set[str], where: str) -> None:
    """Refuse what would restrict something in a way that is not understood."""
    unknown = sorted(told.keys() - known)
    if unknown:
        raise PolicyError(f"{where} has an unknown field {unknown[0][:100]!r}".lstrip())


def _release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with, without zeros at the end; none where it begins otherwise."""
    match = _RELEASE.match(version)
    numbers = [int(part) for part in match[1].split(".")] if match else []
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
