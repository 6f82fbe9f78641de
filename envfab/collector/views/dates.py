"""The days that an address names: `from` and `to`, in UTC, both included."""

from __future__ import annotations

import re
from datetime import date, timedelta

from flask import request
from werkzeug.exceptions import BadRequest

from envfab.collector.days import DAY, day_of, milliseconds_now
from envfab.collector.db.change_queries import Span

_EPOCH = date(1970, 1, 1)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class WrongDay(BadRequest):
    """An address names a day that there is not; `link` leads to one that does without."""

    def __init__(self, problem: str, link: tuple[str, str]) -> None:
        super().__init__(problem)
        self.link = link


def day_asked(name: str, link: tuple[str, str]) -> int | None:
    """The number of the day that the query names; None where it names none. Raises `WrongDay`."""
    text = request.args.get(name, "").strip()
    if not text:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not _EPOCH <= day < date.max - timedelta(days=2):
        raise WrongDay(f"“{name}” must be a day such as 2026-11-01, not “{text[:40]}”.", link)
    return (day - _EPOCH).days


def days_asked(days: int, link: tuple[str, str]) -> tuple[int, int]:
    """The numbers of the first and the last day; up to today, and so many `days` back, where the query does not say.

    Raises `WrongDay`.
    """
    last = day_asked("to", link)
    first = day_asked("from", link)
    last = last if last is not None else max(day_of(milliseconds_now()), first or 0)
    first = first if first is not None else max(0, last - days + 1)
    if first > last:
        raise WrongDay("“from” must not be later than “to”.", link)
    return first, last


def span_of(first: int, last: int) -> Span:
    """The time from the begin of a day to the end of another one."""
    return Span(first * DAY, (last + 1) * DAY)
