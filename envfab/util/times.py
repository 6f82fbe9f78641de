"""Times: read from others' texts (ISO 8601), and shown to people."""

from __future__ import annotations

import re
from datetime import datetime, timezone

DAY = 24 * 60 * 60  # seconds

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


def now() -> str:
    """The present time as records have it: ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def local_time(at: datetime) -> str:
    """A time with a zone as people read it, in their own zone: `2026-11-20 18:42 CET`."""
    return f"{at.astimezone():%Y-%m-%d %H:%M %Z}"
