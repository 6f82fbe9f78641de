"""Times of rollouts, which other machines tell."""

from __future__ import annotations

from datetime import datetime, timezone

from envfab.util.times import in_utc, parse_time

# years that pages can show in any zone
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=timezone.utc), datetime(9998, 12, 31, tzinfo=timezone.utc)


def milliseconds_of(text: str, name: str) -> int:
    """The milliseconds since 1970 of a time in ISO 8601; raises `ValueError` for what pages could not show."""
    moment = in_utc(parse_time(text))
    if not _FIRST <= moment <= _LAST:
        raise ValueError(f"{name!r} must be a time after 1970 and before the year 9999")
    return int(moment.timestamp() * 1000)
