"""Times: read from others' texts (ISO 8601), and shown to people."""

from __future__ import annotations

import re
from datetime import datetime, timezone

DAY = 24 * 60 * 60  # seconds

_SPAN = re.compile(r"([0-9]{1,5})([hd])", re.ASCII)
_SPAN_UNITS = {"h": 60 * 60, "d": DAY}
_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def parse_time(text: str) -> datetime:
    """The time that a text is by ISO 8601, such as `2026-01-20T23:30:00.5Z`; raises `ValueError`.

    It has the zone that the text names, and none where the text names none. Digits after microseconds are dropped.
    """
    # Python 3.10 reads neither a Z nor a fraction that does not have three or six digits
    plain = _FRACTION.sub(lambda digits: f".{digits[1]:<06}", text)
    return datetime.fromisoformat(f"{plain[:-1]}+00:00" if plain.endswith("Z") else plain)


def in_utc(at: datetime) -> datetime:
    """The same time with a zone: one that names none is a time of UTC. Two such times can be compared."""
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


def present() -> datetime:
    """The present time, in UTC and whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def now() -> str:
    """The present time as records have it: ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def local_time(at: datetime) -> str:
    """A time with a zone as people read it, in their own zone: `2026-11-20 18:42 CET`."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"


def utc_time(at: datetime) -> str:
    """A time with a zone as UTC, for people: `2026-11-20 17:42 UTC`; at the ends of the calendar in its own zone."""
    try:
        return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    except OverflowError:
        return f"{at:%Y-%m-%d %H:%M %Z}"


def parse_span(text: str) -> int:
    """The seconds of a span of time such as `7d` or `24h`; a plain `0` is none. Raises `ValueError`."""
    if text == "0":
        return 0
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError("must be a number of days or hours, like 7d or 24h")
    return int(found[1]) * _SPAN_UNITS[found[2]]


def shown_span(seconds: int) -> str:
    """What `parse_span` reads: days where they are whole ones, else hours."""
    return f"{seconds // DAY}d" if seconds % DAY == 0 else f"{seconds // _SPAN_UNITS['h']}h"
