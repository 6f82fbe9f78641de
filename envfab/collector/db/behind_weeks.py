"""Packages behind, week by week: noted while a week lasts, so that its last state stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, literal, select

from envfab.collector.days import monday_of
from envfab.collector.db.engine import insert_or
from envfab.collector.db.schema import applications, behind_weeks

_COLUMNS = ["week", "application_id", "packages", "behind", "compared"]


@dataclass(frozen=True, slots=True)
class Week:
    """A week, by the day number of its Monday."""

    week: int
    packages: int
    behind: int
    # packages of which it is not known whether they were; None where that was not noted
    unknown: int | None = None


def note(connection: Connection, now: int) -> None:
    """Note how all applications are in this week."""
    columns = (
        literal(monday_of(now)),
        applications.c.id,
        applications.c.packages,
        applications.c.behind,
        applications.c.compared,
    )
    # SQLite takes the ON of ON CONFLICT for that of a join where the SELECT has no WHERE.
    rows = select(*columns).where(applications.c.id.is_not(None)).order_by(applications.c.id)
    # held, in the order of all others, so that no application is deleted before its week is written
    rows = rows.with_for_update(key_share=True, read=True)
    statement = insert_or(connection, behind_weeks).from_select(_COLUMNS, rows)
    statement = statement.on_conflict_do_update(
        index_elements=[behind_weeks.c.application_id, behind_weeks.c.week],
        set_={name: statement.excluded[name] for name in ("packages", "behind", "compared")},
    )
    connection.execute(statement)


def list_weeks(connection: Connection, now: int, application: int | None = None) -> tuple[Week, ...]:
    """The weeks that were noted, of one application or of all together, and this week as it is now."""
    this = monday_of(now)
    query = select(behind_weeks.c.week, *_sums(behind_weeks)).where(behind_weeks.c.week < this)
    current = select(literal(this), *_sums(applications))
    if application is not None:
        query = query.where(behind_weeks.c.application_id == application)
        current = current.where(applications.c.id == application)
    rows = connection.execute(query.group_by(behind_weeks.c.week).order_by(behind_weeks.c.week)).all()
    return tuple(map(_week, (*rows, connection.execute(current).one())))


def _sums(table: Table) -> tuple[ColumnElement[int], ...]:
    """Packages, those behind, those compared, and of how many rows the last is not known."""
    columns = table.c.packages, table.c.behind, table.c.compared
    sums = (func.coalesce(func.sum(column), 0) for column in columns)
    return (*sums, func.count() - func.count(table.c.compared))


def _week(row: Sequence[Any]) -> Week:
    week, packages, behind, compared, missing = map(int, row)
    return Week(week, packages, behind, None if missing else packages - compared)
