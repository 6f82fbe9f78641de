"""Days of the tables: numbered since 1970, in UTC."""

from __future__ import annotations

from envfab.util import times

DAY = times.DAY * 1000  # milliseconds


def day_of(milliseconds: int) -> int:
    """The number of the day of a time, in milliseconds since 1970."""
    return milliseconds // DAY
