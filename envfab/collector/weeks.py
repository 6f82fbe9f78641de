"""Packages behind, week by week: noted while a week lasts, so that its last state stays."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select

from envfab.collector.days import day_of
from envfab.collector.db.engine import insert_or
from envfab.collector.db.schema import applications, behind_weeks

_MONDAY = 4  # the first Monday of 1970 was its fifth day


@dataclass(frozen=True, slots=True)
class Week:
    """A week, by the day number of its Monday."""

    week: int
    packages: int
    behind: int


def week_of(milliseconds: int) -> int:
    """The day number of the Monday of a time's week, in UTC."""
    day = day_of(milliseconds)
    return day - (day - _MONDAY) % 7


def note(connection: Connection, now: int) -> None:
    """Note how all applications are in this week."""
    columns = literal(week_of(now)), applications.c.id, applications.c.packages, applications.c.behind
    # SQLite takes the ON of ON CONFLICT for that of a join where the SELECT has no WHERE.
    rows = select(*columns).where(applications.c.id.is_not(None)).order_by(applications.c.id)
    statement = insert_or(connection, behind_weeks).from_select(["week", "application_id", "packages", "behind"], rows)
    statement = statement.on_conflict_do_update(
        index_elements=[behind_weeks.c.application_id, behind_weeks.c.week],
        set_={"packages": statement.excluded.packages, "behind": statement.excluded.behind},
    )
    connection.execute(statement)


def list_weeks(connection: Connection, now: int, application: int | None = None) -> tuple[Week, ...]:
    """The weeks that were noted, of one application or of all together, and this week as it is now."""
    this = week_of(now)
    sums = func.sum(behind_weeks.c.packages), func.sum(behind_weeks.c.behind)
    query = select(behind_weeks.c.week, *sums).where(behind_weeks.c.week < this)
    current = select(
        func.coalesce(func.sum(applications.c.packages), 0), func.coalesce(func.sum(applications.c.behind), 0)
    )
    if application is not None:
        query = query.where(behind_weeks.c.application_id == application)
        current = current.where(applications.c.id == application)
    rows = connection.execute(query.group_by(behind_weeks.c.week).order_by(behind_weeks.c.week)).all()
    packages, behind = connection.execute(current).one()
    return (*(Week(row[0], int(row[1]), int(row[2])) for row in rows), Week(this, int(packages), int(behind)))
