"""Days of the tables: numbered since 1970, in UTC."""

from __future__ import annotations

import time

from envfab.util import times

DAY = times.DAY * 1000  # milliseconds
_MONDAY = 4  # the first Monday of 1970 was its fifth day


def day_of(milliseconds: int) -> int:
    """The number of the day of a time, in milliseconds since 1970."""
    return milliseconds // DAY


def monday_of(milliseconds: int) -> int:
    """The number of the Monday of a time's week."""
    day = day_of(milliseconds)
    return day - (day - _MONDAY) % 7


def milliseconds_of(text: str) -> int:
    """The milliseconds since 1970 of a time in ISO 8601; raises `ValueError`."""
    return int(times.in_utc(times.parse_time(text)).timestamp() * 1000)


def milliseconds_now() -> int:
    """The time as the tables have it."""
    return time.time_ns() // 10**6
