"""The index of usage reports: which there are, and how many say what. It can be made again out of the files."""

from __future__ import annotations

import logging
from collections import Counter

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.exc import DBAPIError

from envfab.collector.days import DAY, day_of
from envfab.collector.db.engine import Storage, insert_or, run_many
from envfab.collector.db.erasures import is_erased
from envfab.collector.db.schema import counters, reports, usage_counts
from envfab.collector.report_store import ReportFolder, StoredReport
from envfab.usagestats import erasure
from envfab.usagestats.report import MalformedReport, Report
from envfab.usagestats.weekly_totals import MAX_SUM, Pair, parse_count

MAX_ENTRIES = 10_000  # keys of a report
MAX_USER = 1000  # bytes of an id: PostgreSQL has no index of texts that are much longer
SHOWN_VALUE = 200  # characters of a value that are counted under
_BATCH = 500
log = logging.getLogger(__name__)


def index(connection: Connection, stored: StoredReport, report: Report) -> bool:
    """Count a report that is on disk; one that was counted before stays counted once.

    Return whether it may stay: reports under its id may have been erased.
    """
    if is_erased(connection, report):
        return False
    row = {
        "program": stored.program,
        "file": stored.file,
        "at": stored.at,
        "date": report.date,
        "user": report.user,
        "size": len(stored.body),
        "proof": erasure.carried_proof(report),
    }
    statement = insert_or(connection, reports).values(row).on_conflict_do_nothing().returning(reports.c.id)
    if connection.execute(statement).first() is None:
        return True
    counted = insert_or(connection, usage_counts)
    counted = counted.on_conflict_do_update(
        index_elements=[*usage_counts.primary_key.columns],
        set_={"reports": usage_counts.c.reports + counted.excluded.reports},
    )
    day = day_of(stored.at)
    # Always in the same order, so that two reports never wait for each other's rows.
    run_many(
        connection,
        counted,
        [{"program": stored.program, "day": day, "key": key, "value": value, "reports": 1}
         for key, value in sorted(_countable(report))],
    )  # fmt: skip
    _add_sums(connection, stored.program, day, _sums(report))
    return True


def count_back(connection: Connection, stored: StoredReport, report: Report) -> None:
    """Take a report that is deleted out of what was counted."""
    day = day_of(stored.at)
    counted = usage_counts.c
    less = (
        update(usage_counts)
        .where(counted.program == stored.program, counted.day == day)
        .where(counted.key == bindparam("its_key"), counted.value == bindparam("its_value"))
        .values(reports=counted.reports - 1)
    )
    said = [{"its_key": key, "its_value": value} for key, value in sorted(_countable(report))]
    run_many(connection, less, said)
    summed = counters.c
    subtracted = (
        update(counters)
        .where(summed.program == stored.program, summed.day == day)
        .where(summed.name == bindparam("its_name"), summed.value == bindparam("its_value"))
        .values(total=summed.total - bindparam("its_total"))
    )
    sums = [
        {"its_name": name, "its_value": value, "its_total": total}
        for (name, value), total in sorted(_sums(report).items())
    ]
    run_many(connection, subtracted, sums)
    for_none = (
        delete(usage_counts)
        .where(counted.program == stored.program, counted.day == day, counted.reports <= 0)
        .where(counted.key == bindparam("its_key"), counted.value == bindparam("its_value"))
    )
    run_many(connection, for_none, said)
    connection.execute(delete(counters).where(summed.program == stored.program, summed.day == day, summed.total <= 0))


def _add_sums(connection: Connection, program: str, day: int, sums: Counter[Pair]) -> None:
    added = insert_or(connection, counters)
    added = added.on_conflict_do_update(
        index_elements=[*counters.primary_key.columns],
        set_={"total": counters.c.total + added.excluded.total},
    )
    rows = [
        {"program": program, "day": day, "name": name, "value": value, "total": total}
        for (name, value), total in sorted(sums.items())
    ]
    run_many(connection, added, rows)


def index_again(storage: Storage, folder: ReportFolder) -> int:
    """Index the files that are not indexed, after a crash for example; returns how many."""
    with storage.reading() as connection:
        known = {(program, file) for program, file in connection.execute(select(reports.c.program, reports.c.file))}
    there = set(folder.files())
    missing = sorted(there - known)
    for start in range(0, len(missing), _BATCH):
        with storage.writing() as connection:
            for program, file in missing[start : start + _BATCH]:
                _try_to_index(connection, folder, program, file)
    return len(missing)


def delete_before(storage: Storage, folder: ReportFolder, now: int, days: int) -> int:
    """Delete the reports of days that are more than `days` ago, and what was counted of them; how many they were.

    Raises `OSError` if one cannot be deleted, after all others are.
    """
    first_kept = day_of(now) - days
    old = reports.c.at < first_kept * DAY
    with storage.reading() as connection:
        found = connection.execute(select(reports.c.id, reports.c.program, reports.c.file).where(old)).all()
    gone: list[dict[str, int]] = []
    left: OSError | None = None
    for number, program, file in found:
        try:
            folder.delete(program, file)
            gone.append({"number": number})
        except OSError as error:
            left = error  # those after it go all the same
    with storage.writing() as connection:
        run_many(connection, delete(reports).where(reports.c.id == bindparam("number")), gone)
        connection.execute(delete(usage_counts).where(usage_counts.c.day < first_kept))
        connection.execute(delete(counters).where(counters.c.day < first_kept))
    if left is not None:
        raise left
    return len(gone)


def _index_file(connection: Connection, folder: ReportFolder, program: str, file: str) -> None:
    try:
        stored = folder.read(program, file)
        if not index(connection, stored, stored.parsed()):
            folder.delete(program, file)
    except (OSError, ValueError) as error:
        log.warning("the usage report %s is not indexed: %s", file, error)


def _try_to_index(connection: Connection, folder: ReportFolder, program: str, file: str) -> None:
    """Index a file; what the database does not take of it must not keep others from being indexed."""
    try:
        with connection.begin_nested():
            _index_file(connection, folder, program, file)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        log.warning("the usage report %s is not indexed: %s", file, " ".join(str(error.orig).split()))


def _countable(report: Report) -> set[tuple[str, str]]:
    """The distinct (key, value) of a report, long values cut, and the empty pair that counts the report itself.

    Not what its counters say, since their sums are added up instead, and not the proof of an id's owner.
    """
    told = [(key, value) for key, value in report.entries if key != erasure.KEY and parse_count(key, value) is None]
    return {("", ""), *((key, value[:SHOWN_VALUE]) for key, value in told)}


def _sums(report: Report) -> Counter[Pair]:
    sums: Counter[Pair] = Counter()
    for counted in (parse_count(key, value) for key, value in report.entries):
        if counted is not None:
            name, value, total = counted
            pair = name, value[:SHOWN_VALUE]
            # No more than a client can count: sums of many such reports must fit into the tables.
            sums[pair] = min(sums[pair] + total, MAX_SUM)
    return sums


def check_size(report: Report) -> None:
    """Refuse, with `MalformedReport`, what would fill the index."""
    if len(report.entries) > MAX_ENTRIES:
        raise MalformedReport(f"the report has more than {MAX_ENTRIES} keys")
    if len((report.user or "").encode()) > MAX_USER:
        raise MalformedReport(f"the user of the report has more than {MAX_USER} bytes")
