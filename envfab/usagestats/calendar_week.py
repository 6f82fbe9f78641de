"""Weeks, from Monday to Sunday in UTC, numbered since Monday, 1970-01-05."""

from __future__ import annotations

import time

_FIRST = 4 * 24 * 3600 * 1000  # milliseconds from 1970 to its first Monday
_WEEK = 7 * 24 * 3600 * 1000  # milliseconds


def week_of(milliseconds: int) -> int:
    """The week of a time, given in milliseconds since 1970."""
    return (milliseconds - _FIRST) // _WEEK


def week_start(week: int) -> int:
    """When a week begins, in milliseconds since 1970."""
    return _FIRST + week * _WEEK


def monday(week: int) -> str:
    """The date of a week's Monday, as `2026-11-23`."""
    return time.strftime("%Y-%m-%d", time.gmtime(week_start(week) // 1000))
