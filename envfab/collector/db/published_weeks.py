"""The published weeks of programs, as they were when they were over."""

from __future__ import annotations

from sqlalchemy import Connection, select

from envfab.collector.db.engine import insert_or
from envfab.collector.db.schema import published_weeks
from envfab.collector.publication import PublicWeek, format_week, parse_week


def is_published(connection: Connection, program: str, week: int) -> bool:
    """Whether a week, the day number of its Monday, was published."""
    its = published_weeks.c.program == program, published_weeks.c.week == week
    return connection.execute(select(published_weeks.c.week).where(*its)).first() is not None


def add(connection: Connection, program: str, shown: PublicWeek) -> None:
    """Keep a week, unless another worker did so first."""
    row = {"program": program, "week": shown.week, "shown": format_week(shown)}
    connection.execute(insert_or(connection, published_weeks).values(row).on_conflict_do_nothing())


def list_latest(connection: Connection, program: str, limit: int) -> tuple[PublicWeek, ...]:
    """The latest weeks of a program, the newest first."""
    query = select(published_weeks.c.week, published_weeks.c.shown).where(published_weeks.c.program == program)
    rows = connection.execute(query.order_by(published_weeks.c.week.desc()).limit(limit))
    return tuple(parse_week(week, shown) for week, shown in rows)
