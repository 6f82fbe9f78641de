"""Publishing the weeks of programs: each once, soon after its end, so that no number ever changes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from envfab.collector.days import DAY, monday_of
from envfab.collector.db import published_weeks
from envfab.collector.db.engine import CollectorError, Storage
from envfab.collector.db.schema import reports
from envfab.collector.policies import read_policy
from envfab.collector.publication import count_all
from envfab.collector.report_store import ReportFolder
from envfab.usagestats.report import Report

# Until all that came is indexed.
AFTER = 60 * 60 * 1000  # milliseconds
log = logging.getLogger(__name__)


def publish(storage: Storage, folder: ReportFolder, programs: Sequence[str], now: int) -> None:
    """Publish the last finished week of each program that has none yet."""
    week = monday_of(now - AFTER) - 7
    for program in programs:
        with storage.reading() as connection:
            if published_weeks.is_published(connection, program, week):
                continue
        try:
            found = read_policy(folder, program, now)
        except CollectorError as error:
            log.warning("the week is not published: %s", error)
            continue
        shown = count_all(_reports_of(storage, folder, program, week), found[1] if found else None, week)
        with storage.writing() as connection:
            published_weeks.add(connection, program, shown)


def _reports_of(storage: Storage, folder: ReportFolder, program: str, week: int) -> Iterator[tuple[Report, str]]:
    since, until = week * DAY, (week + 7) * DAY
    query = select(reports.c.file).where(reports.c.program == program, reports.c.at >= since, reports.c.at < until)
    with storage.reading() as connection:
        files = connection.execute(query).scalars().all()
    for file in files:
        try:
            yield folder.read(program, file).parsed(), file
        except (OSError, ValueError):
            continue  # deleted since
