"""What pages and JSON ask of usage reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, tuple_

from envfab.collector.db.schema import counters, reports, usage_counts
from envfab.usagestats import installation

_LINE = tuple(reports.c[name] for name in ("id", "program", "file", "at", "date", "user", "size"))
ALL = ""  # the key under which every report is counted
_counts = usage_counts.c


@dataclass(frozen=True, slots=True)
class Period:
    """Which reports are asked about: of one program (None: all), from a day on."""

    program: str | None
    since: int

    def where(self) -> list[ColumnElement[bool]]:
        """The conditions on counts."""
        mine = [] if self.program is None else [_counts.program == self.program]
        return [*mine, _counts.day >= self.since]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that reports; `program` is empty for reports to the root."""

    program: str
    reports: int
    last: int


@dataclass(frozen=True, slots=True)
class Key:
    """What reports say under a key: how many do, how many different things, which most often."""

    key: str
    reports: int
    values: int
    common: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class CounterSums:
    """What programs count under a name: the total, and that of each value, the largest first."""

    name: str
    total: int
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A report, as lists show it."""

    id: int
    program: str
    file: str
    at: int
    date: int
    user: str | None
    size: int


def list_programs(connection: Connection) -> tuple[Program, ...]:
    """All programs, by name."""
    last = select(func.max(reports.c.at)).where(reports.c.program == _counts.program).scalar_subquery()
    query = select(_counts.program, func.sum(_counts.reports), last).where(_counts.key == ALL)
    rows = connection.execute(query.group_by(_counts.program).order_by(_counts.program))
    return tuple(Program(program, int(number), at) for program, number, at in rows if at is not None)


def by_day(connection: Connection, period: Period) -> dict[int, int]:
    """Reports a day; days without are left out."""
    query = select(_counts.day, func.sum(_counts.reports)).where(_counts.key == ALL, *period.where())
    return {day: int(number) for day, number in connection.execute(query.group_by(_counts.day).order_by(_counts.day))}


def count_users(connection: Connection, program: str | None, since: int) -> int:
    """How many different users sent the reports that came at `since` (milliseconds) or later.

    The index of users is walked from one to the next, since a user may have sent thousands of reports.
    """
    wanted = [reports.c.user.is_not(None), reports.c.at >= since]
    if program is not None:
        wanted.append(reports.c.program == program)
    next_one = select(reports.c.user).where(*wanted).order_by(reports.c.user).limit(1)
    first = select(next_one.scalar_subquery().label("user")).cte("users", recursive=True)
    after = next_one.where(reports.c.user > first.c.user).scalar_subquery()
    users = first.union_all(select(after).where(first.c.user.is_not(None)))
    return connection.execute(select(func.count(users.c.user))).scalar_one()


def list_keys(connection: Connection, period: Period, common: int = 3) -> tuple[Key, ...]:
    """Every key that was reported, by name, with its most common values."""
    number = func.sum(_counts.reports)
    grouped = (
        select(_counts.key, _counts.value, number.label("number"))
        .where(_counts.key != ALL, *period.where())
        .group_by(_counts.key, _counts.value)
        .subquery()
    )
    over: dict[str, Any] = {"partition_by": grouped.c.key}
    ranked = select(
        grouped,
        func.row_number().over(**over, order_by=(grouped.c.number.desc(), grouped.c.value)).label("rank"),
        func.sum(grouped.c.number).over(**over).label("reports"),
        func.count().over(**over).label("values"),
    ).subquery()
    query = select(ranked).where(ranked.c.rank <= common).order_by(ranked.c.key, ranked.c.rank)
    found: dict[str, Key] = {}
    for row in connection.execute(query):
        before = found[row.key].common if row.key in found else ()
        found[row.key] = Key(row.key, int(row.reports), row.values, (*before, (row.value, int(row.number))))
    return tuple(found.values())


def values_of(
    connection: Connection, period: Period, keys: Sequence[str], limit: int = 2000
) -> dict[str, Counter[str]]:
    """How many reports say what under each of `keys`: the most common things, at most `limit` in all."""
    number = func.sum(_counts.reports)
    query = select(_counts.key, _counts.value, number).where(_counts.key.in_(keys), *period.where())
    query = query.group_by(_counts.key, _counts.value).order_by(number.desc(), _counts.value).limit(limit)
    found: dict[str, Counter[str]] = {key: Counter() for key in keys}
    for key, value, times in connection.execute(query):
        found[key][value] = int(times)
    return found


def list_counters(connection: Connection, period: Period, limit: int = 2000) -> tuple[CounterSums, ...]:
    """The counters of reports that came in a period, by name: the largest sums, at most `limit` in all."""
    total = func.sum(counters.c.total)
    query = select(counters.c.name, counters.c.value, total).where(counters.c.day >= period.since)
    if period.program is not None:
        query = query.where(counters.c.program == period.program)
    query = query.group_by(counters.c.name, counters.c.value).order_by(total.desc(), counters.c.value).limit(limit)
    found: dict[str, list[tuple[str, int]]] = {}
    for name, value, number in connection.execute(query):
        found.setdefault(name, []).append((value, int(number)))
    return tuple(
        CounterSums(name, sum(number for _, number in values), tuple(values)) for name, values in sorted(found.items())
    )


def installation_weeks(values: Counter[str]) -> dict[str, Counter[str]]:
    """How many installations there were a week, by age class: the weeks by the dates of their Mondays, in order.

    `values` is what reports say under `installation.KEY`.
    """
    found: dict[str, Counter[str]] = {}
    for value, number in values.items():
        told = installation.parse_installation(value)
        if told is not None:
            found.setdefault(told[0], Counter())[told[1]] += number
    return dict(sorted(found.items()))


def list_reports(
    connection: Connection, program: str | None, *, since: int = 0, before: ReportLine | None = None, limit: int
) -> tuple[ReportLine, ...]:
    """The latest reports, newest first, of those that came at `since` (milliseconds) or later.

    `before` is the last report of an earlier answer, after which this one goes on.
    """
    query = select(*_LINE).where(reports.c.at >= since).order_by(reports.c.at.desc(), reports.c.id.desc())
    if program is not None:
        query = query.where(reports.c.program == program)
    if before is not None:
        query = query.where(tuple_(reports.c.at, reports.c.id) < tuple_(before.at, before.id))
    return tuple(ReportLine(**row._mapping) for row in connection.execute(query.limit(limit)))


def find_report(connection: Connection, number: int) -> ReportLine | None:
    """A report by its number."""
    row = connection.execute(select(*_LINE).where(reports.c.id == number)).first()
    return None if row is None else ReportLine(**row._mapping)
